"""What the Loihi 2 ProcessModels share: from an allocation to the calls on ``net``.

The calls are those that public code with NcProcessModels makes: ``neurons_cfg`` for the
program and its group constants, ``neurons`` for per-neuron values, ``ax_out`` for output
axons, connected in that order.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from lava_mlsnn.loihi2.program.allocation import Allocation
from lava_mlsnn.loihi2.program.files import program_file

__all__ = ["allocate_neurons", "init"]


def init(var: Any) -> np.ndarray:
    """First value of a Process's Var as int64, at least one axis."""
    return np.atleast_1d(np.asarray(var.var.init)).astype(np.int64)


def allocate_neurons(
    model: Any, net: Any, allocation: Allocation, folder: str | os.PathLike[str] | None
) -> None:
    """Allocate a population and connect it between ``model.a_in`` and ``model.s_out``.

    Parameters
    ----------
    model : AbstractNcProcessModel
        With ports ``a_in`` and ``s_out`` and, where a state is kept, a Var ``v``.
    net : NetL2
        Of the closed extension.
    allocation : Allocation
        What to ask for.
    folder : path or None
        Of the programs, see :func:`lava_mlsnn.loihi2.program.files.program_file`.
    """
    program = allocation.program
    config = net.neurons_cfg.allocate_ucode(
        shape=(1,), ucode=program_file(program, folder), **program.constants
    )
    values: dict[str, Any] = dict(allocation.neurons)
    if "v" in values:
        values["v"] = model.v  # the Var, so that it can be read and probed
    shape = allocation.neurons["bias"].shape
    neurons = net.neurons.allocate_ucode(shape=shape, **values)
    axons = net.ax_out.allocate(shape=shape, num_message_bits=allocation.num_message_bits)
    model.a_in.connect(neurons)
    neurons.connect(config)
    neurons.connect(axons)
    axons.connect(model.s_out)
