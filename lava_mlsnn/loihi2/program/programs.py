"""What a whole network asks of neuro-cores."""

from __future__ import annotations

import numpy as np

from lava_mlsnn.errors import UnsupportedLayerError, at
from lava_mlsnn.loihi2.program.allocation import (
    Allocation,
    multilevel_allocation,
    readout_allocation,
)
from lava_mlsnn.loihi2.program.instructions import Program
from lava_mlsnn.loihi2.program.neuron import readout_program
from netx_export.spec import MultiLevel, NetworkSpec, Population, Readout
from netx_export.spec.timing import delays, depths

__all__ = ["allocation_of", "allocations_of", "programs_of"]


def allocations_of(spec: NetworkSpec) -> dict[int, Allocation]:
    """Allocation of every population, by layer index.

    Parameters
    ----------
    spec : NetworkSpec
        The network.

    Returns
    -------
    dict of int to Allocation
        For the populations; inputs have none.

    Raises
    ------
    UnsupportedLayerError, RangeError
        If no program computes a population; names the layer.
    """
    depth = depths(spec)
    found = {}
    for index, layer in spec.populations:
        with at(spec.label(index)):
            found[index] = allocation_of(layer, spec.timesteps, depth[index])
    return found


def allocation_of(layer: Population, timesteps: int, depth: int) -> Allocation:
    """Allocation of one population at a depth; errors as :func:`allocations_of`, unplaced."""
    shape = layer.shape[::-1]  # Lava's order, channels last
    bias = np.zeros(1, np.int64) if layer.bias is None else layer.bias
    neuron = layer.neuron
    if isinstance(neuron, MultiLevel):
        return multilevel_allocation(
            shape,
            neuron.vth,
            neuron.v0,
            bias,
            neuron.levels,
            reset_interval=timesteps,
            depth=depth,
            num_message_bits=layer.num_message_bits,
        )
    if isinstance(neuron, Readout):
        return readout_allocation(
            shape,
            bias,
            integrate=neuron.integrate,
            reset_interval=timesteps,
            depth=depth,
            num_message_bits=neuron.num_message_bits,
        )
    raise UnsupportedLayerError(
        f"the programs are for the neurons of this project, not for {neuron.text}; lava-dl's own "
        "loader takes its networks to the chip"
    )


def programs_of(spec: NetworkSpec) -> list[Program]:
    """The programs that a network needs, each name once.

    Group constants are those of the first population that uses a program; another may
    have others.

    Parameters
    ----------
    spec : NetworkSpec
        The network.

    Returns
    -------
    list of Program
        In the order of the layers that use them first.
    """
    programs = {a.program.name: a.program for a in allocations_of(spec).values()}
    waits = delays(spec)
    for index, layer in spec.populations:
        for k, synapse in enumerate(layer.synapses):
            if synapse.geometry.storage == "kernel" and waits[index, k]:
                relay = readout_program(False)  # a convolution cannot wait by itself
                programs.setdefault(relay.name, relay)
    return list(programs.values())
