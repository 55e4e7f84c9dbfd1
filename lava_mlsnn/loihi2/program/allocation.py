"""What a population asks of a neuro-core: program, group constants, per-neuron values.

Pure numbers, so that it can be looked at and checked without the closed extension;
``ncmodels.py`` next to each Process hands it over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lava_mlsnn.errors import RangeError, UnsupportedLayerError
from lava_mlsnn.loihi2.program.instructions import Program
from lava_mlsnn.loihi2.program.neuron import (
    chunks,
    multilevel_each_program,
    multilevel_program,
    readout_program,
)
from netx_export.spec.widths import STATE_MAX, wrap24

__all__ = ["Allocation", "multilevel_allocation", "readout_allocation"]


@dataclass(frozen=True)
class Allocation:
    """A population on neuro-cores.

    Attributes
    ----------
    program : Program
        With its group constants.
    neurons : dict of str to ndarray of int64, (neurons,)
        First value of every register that is not the sum of the synapses.
    num_message_bits : int
        Width of the payload.
    """

    program: Program
    neurons: dict[str, np.ndarray] = field(default_factory=dict)
    num_message_bits: int = 24

    @property
    def words(self) -> int:
        """24-bit words of memory per neuron."""
        return len(self.neurons)


def _flat(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Per-channel values (last axis) for every neuron, in the order of the ports."""
    return np.broadcast_to(values, shape).astype(np.int64).reshape(-1)


def multilevel_allocation(
    shape: tuple[int, ...],
    vth: np.ndarray,
    v0: np.ndarray,
    bias: np.ndarray,
    levels: int,
    *,
    reset_interval: int,
    depth: int,
    num_message_bits: int,
    overflow: str = "wrap",
) -> Allocation:
    """Of a multi-level population.

    Parameters
    ----------
    shape : tuple of int
        Neurons in Lava's order, (W, H, C) or (F,).
    vth, v0, bias : ndarray of int
        One value, one per channel (last axis), or one per neuron.
    levels : int
        N.
    reset_interval, depth : int
        T, 0 for never; and the depth of the layer.
    num_message_bits, overflow
        As of the Process.

    Raises
    ------
    UnsupportedLayerError, RangeError
        If no program computes these neurons.
    """
    if overflow != "wrap":
        raise UnsupportedLayerError(
            "the program for Loihi 2 wraps at 24 bits; use overflow='wrap', or check that nothing "
            "overflows"
        )
    if reset_interval == 0:
        raise UnsupportedLayerError("neurons on Loihi 2 need a reset_interval, the T of a sample")
    single = reset_interval == 1
    shared = np.unique(vth).size == 1 and (single or np.unique(v0).size == 1)
    neurons: dict[str, np.ndarray] = {}
    total = _flat(bias, shape)
    if single:
        total = wrap24(total + _flat(v0, shape))
    else:
        neurons["v"] = _flat(v0, shape)
        count = int(np.prod(shape))
        neurons["left"] = np.full(count, depth % reset_interval, np.int64)
    neurons["bias"] = total
    if shared:
        program = multilevel_program(
            int(np.ravel(vth)[0]),
            levels,
            v0=0 if single else int(np.ravel(v0)[0]),
            timesteps=reset_interval,
        )
    else:
        largest = int(np.max(vth)) * chunks(levels)[0]
        if largest > STATE_MAX:
            raise RangeError(
                f"half of N times vth must fit 24 bits where thresholds differ, got {largest}; use "
                "fewer levels or a smaller scale"
            )
        program = multilevel_each_program(levels, timesteps=reset_interval)
        neurons["vth"] = _flat(vth, shape)
        if not single:
            neurons["v0"] = _flat(v0, shape)
    return Allocation(program, neurons, num_message_bits)


def readout_allocation(
    shape: tuple[int, ...],
    bias: np.ndarray,
    *,
    integrate: bool,
    reset_interval: int,
    depth: int,
    num_message_bits: int,
) -> Allocation:
    """Of a readout or relay; arguments as for :func:`multilevel_allocation`."""
    if integrate and reset_interval == 0:
        raise UnsupportedLayerError(
            "a readout on Loihi 2 needs a reset_interval, the T of a sample"
        )
    program = readout_program(integrate, max(1, reset_interval))
    neurons: dict[str, np.ndarray] = {}
    if program.state:
        count = int(np.prod(shape))
        neurons["v"] = np.zeros(count, np.int64)
        neurons["left"] = np.full(count, depth % reset_interval, np.int64)
    neurons["bias"] = _flat(bias, shape)
    return Allocation(program, neurons, num_message_bits)
