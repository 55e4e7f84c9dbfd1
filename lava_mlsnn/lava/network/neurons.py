"""Which Lava Process stands for which neuron: one function a type, two tables.

The parameters of lava-dl's neurons map as in ``lava.lib.dl.netx.hdf5.Network``:
CUBA has bias_exp 6 and du = iDecay - 1, sigma-delta has state_exp 6.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta

from lava_mlsnn.errors import UnsupportedLayerError
from lava_mlsnn.proc.mlif.process import MultiLevelIF
from lava_mlsnn.proc.readout.process import Readout as ReadoutProcess
from netx_export.spec import MultiLevel, Neuron, Readout, Shape, StockNeuron
from netx_export.spec.kinds import of_kind

__all__ = ["NEURONS", "STATE", "STOCK", "NeuronContext", "build_neuron", "check_neuron"]

STATE_EXP = 6  # fractional bits of the stock neurons' state
BIAS_EXP = 6


# A tuple, not a dataclass: Lava executes every module of this folder a second time
# under a name that it does not register, where the dataclass decorator fails.
class NeuronContext(NamedTuple):
    """What a population needs to know about its place."""

    shape: Shape  # Lava's order
    bias: np.ndarray | None  # (C,) or (1,)
    timesteps: int  # T of a sample
    offset: int  # timesteps after which its first sample starts
    spike_exp: int
    stock_reset: int | None  # timesteps between resets of a CUBA neuron
    is_input: bool
    name: str
    ucode: str | os.PathLike[str] | None = None  # folder of the programs for Loihi 2


def _multilevel(neuron: MultiLevel, context: NeuronContext) -> AbstractProcess:
    return MultiLevelIF(
        context.shape,
        neuron.vth,
        neuron.levels,
        v0=neuron.v0,
        bias_mant=0 if context.bias is None else context.bias,
        reset_interval=context.timesteps,
        reset_offset=context.offset + 1,
        ucode=context.ucode,
        name=context.name,
    )


def _readout(neuron: Readout, context: NeuronContext) -> AbstractProcess:
    return ReadoutProcess(
        context.shape,
        bias_mant=0 if context.bias is None else context.bias,
        integrate=neuron.integrate,
        reset_interval=context.timesteps,
        reset_offset=context.offset + 1,
        num_message_bits=neuron.num_message_bits,
        ucode=context.ucode,
        name=context.name,
    )


def _stock(neuron: StockNeuron, context: NeuronContext) -> AbstractProcess:
    return STOCK[neuron.type][1](neuron, context)


def _per_neuron_bias(context: NeuronContext) -> np.ndarray:
    return np.broadcast_to(context.bias, context.shape).astype(np.int32)  # type: ignore[arg-type]


def _cuba(neuron: StockNeuron, context: NeuronContext) -> AbstractProcess:
    arguments: dict[str, Any] = {
        "shape": context.shape,
        "vth": neuron.number("vThMant"),
        "du": neuron.number("iDecay") - 1,
        "dv": neuron.number("vDecay"),
        "bias_exp": BIAS_EXP,
        "name": context.name,
    }
    if context.bias is not None:
        arguments["bias_mant"] = _per_neuron_bias(context)
    if context.stock_reset is None:
        return LIF(**arguments)
    return LIFReset(
        reset_interval=context.stock_reset, reset_offset=context.offset + 1, **arguments
    )


def _sdnn(neuron: StockNeuron, context: NeuronContext) -> AbstractProcess:
    if "sigma_output" in neuron.params and not context.is_input:
        return Sigma(shape=context.shape)
    vth = neuron.number("vThMant")
    exponents = {"spike_exp": context.spike_exp, "state_exp": STATE_EXP}
    if context.is_input:
        return Delta(shape=context.shape, vth=vth, **exponents)
    bias: Any = 0 if context.bias is None else _per_neuron_bias(context)
    return SigmaDelta(shape=context.shape, vth=vth, bias=bias, name=context.name, **exponents)


Builder = Callable[[Any, NeuronContext], AbstractProcess]

NEURONS: dict[type, Builder] = {
    MultiLevel: _multilevel,
    Readout: _readout,
    StockNeuron: _stock,
}

# Type name in the file: the parameters that it must have, and its builder.
STOCK: dict[str, tuple[tuple[str, ...], Builder]] = {
    "CUBA": (("vThMant", "iDecay", "vDecay"), _cuba),
    "LOIHI": (("vThMant", "iDecay", "vDecay"), _cuba),
    "SDNN": (("vThMant",), _sdnn),
}

# The Var that holds a population's state.
STATE: dict[type, str] = {
    MultiLevelIF: "v",
    ReadoutProcess: "v",
    LIF: "v",
    LIFReset: "v",
    Sigma: "sigma",
    SigmaDelta: "sigma",
    Delta: "act",
}


def build_neuron(neuron: Neuron, context: NeuronContext) -> AbstractProcess:
    """Return the Lava Process of a population, with ports ``a_in`` and ``s_out``."""
    return of_kind(NEURONS, neuron, "the Lava network")(neuron, context)


def check_neuron(neuron: Neuron, bias: np.ndarray | None) -> None:
    """Raise UnsupportedLayerError for a neuron that no Process stands for."""
    if not isinstance(neuron, StockNeuron):
        return
    if neuron.type not in STOCK:
        raise UnsupportedLayerError(
            f"neurons of type {neuron.type!r} cannot run; supported are {sorted(STOCK)}"
        )
    missing = [key for key in STOCK[neuron.type][0] if key not in neuron.params]
    if "sigma_output" in neuron.params:
        missing = []
        if bias is not None and np.any(bias):
            raise UnsupportedLayerError("a sigma output has no bias, but the layer has one")
    if missing:
        raise UnsupportedLayerError(f"a {neuron.type} neuron needs {', '.join(missing)}")
