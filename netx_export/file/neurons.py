"""Neuron groups of a file: how each kind is read and written, and what cannot be and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netx_export.errors import FormatError, UnsupportedLayerError
from netx_export.file import schema
from netx_export.file.fields import Node
from netx_export.file.stock import BIAS_LIMIT, DEFAULT_NEURON, cuba_fields
from netx_export.file.values import put_fields
from netx_export.spec import MultiLevel, Neuron, Readout, StockNeuron
from netx_export.spec.kinds import of_kind
from netx_export.spec.widths import STATE_MAX, STATE_MIN

if TYPE_CHECKING:
    import h5py

__all__ = ["NEURONS", "NeuronRead", "default_neuron", "read_neuron", "write_neuron"]


class NeuronRead(NamedTuple):
    """A neuron, and where its layer's bias stands."""

    neuron: Neuron
    own_bias: Node | None = None  # the group to read the bias from, if not the layer


def _mlif(node: Node, channels: int) -> MultiLevel:
    vth = node.whole(schema.VTH, 1, 1, STATE_MAX, channels)
    v0 = node.whole(schema.V0, 1, STATE_MIN, STATE_MAX, channels)
    return MultiLevel(node.integer(schema.LEVELS, 1, STATE_MAX), vth, v0)


def _write_mlif(handle: h5py.Group, neuron: MultiLevel) -> None:
    put_fields(handle, {schema.TYPE: schema.MLIF, schema.LEVELS: int(neuron.levels)})
    handle[schema.VTH] = neuron.vth
    handle[schema.V0] = neuron.v0


def _readout(node: Node, channels: int) -> Readout:
    return Readout(node.flag(schema.INTEGRATE), node.integer(schema.MESSAGE_BITS, 8, 24))


def _write_readout(handle: h5py.Group, neuron: Readout) -> None:
    fields = {
        schema.TYPE: schema.READOUT,
        schema.INTEGRATE: bool(neuron.integrate),
        schema.MESSAGE_BITS: int(neuron.num_message_bits),
    }
    put_fields(handle, fields)


def _write_stock(handle: h5py.Group, neuron: StockNeuron) -> None:
    put_fields(handle, {**neuron.params, schema.TYPE: neuron.type})


def _stock(node: Node, needed: dict[str, tuple[int, int]]) -> StockNeuron:
    params: dict[str, int | float | bool | str] = {}
    for name in sorted(node.names()):
        if name in (schema.TYPE, schema.MULTILEVEL):
            continue
        if node.is_group(name) or node.size(name) > 1:
            raise UnsupportedLayerError(
                "neurons of lava-dl are read with one value a parameter, not one a neuron",
                node.place(name),
            )
        params[name] = node.value(name)
    for name, (low, high) in needed.items():
        params[name] = node.integer(name, low, high)
    return StockNeuron(node.text(schema.TYPE), params)


def _cuba(node: Node, channels: int) -> StockNeuron:
    decay = (0, 4096)
    return _stock(
        node,
        {schema.I_DECAY: decay, schema.V_DECAY: decay, schema.VTH_MANT: (0, STATE_MAX)},
    )


def _sdnn(node: Node, channels: int) -> StockNeuron:
    # stock looks whether sigma_output is there, not at its value
    needed = {} if schema.SIGMA_OUTPUT in node else {schema.VTH_MANT: (0, STATE_MAX)}
    return _stock(node, needed)


NEURONS: dict[str, Callable[[Node, int], Neuron]] = {
    schema.MLIF: _mlif,
    schema.READOUT: _readout,
    schema.SDNN: _sdnn,
    **dict.fromkeys(schema.CUBA_TYPES, _cuba),
}

WRITERS: dict[type, Callable[[h5py.Group, Any], None]] = {
    MultiLevel: _write_mlif,
    Readout: _write_readout,
    StockNeuron: _write_stock,
}


def write_neuron(handle: h5py.Group, neuron: Neuron) -> None:
    """Write a neuron group; UnsupportedLayerError for a kind that the format does not have."""
    of_kind(WRITERS, neuron, "the file format")(handle, neuron)


# start of a type's name: why not
REFUSED = {
    "RF": "resonate-and-fire neurons have no integer counterpart here",
    "ADRF": "adaptive resonate-and-fire neurons have no integer counterpart here",
    "ALIF": "stock Lava cannot run adaptive thresholds either",
}


def default_neuron() -> StockNeuron:
    """What stock Lava takes for a dense layer without a neuron group."""
    return StockNeuron("CUBA", dict(DEFAULT_NEURON))


def read_neuron(node: Node, channels: int) -> NeuronRead:
    """Read the neuron group of a layer with so many channels.

    Raises
    ------
    UnsupportedLayerError
        For a type that is not supported; says why.
    FormatError, RangeError
        For a field that is missing, wrong or out of range.
    """
    kind = node.text(schema.TYPE)
    if kind in schema.CUBA_TYPES and schema.MULTILEVEL in node:
        own = node.group(schema.MULTILEVEL)
        found = _plain(own, own.text(schema.TYPE), channels)
        _check_stand_in(node, found)
        return NeuronRead(found, own)
    return NeuronRead(_plain(node, kind, channels))


def _plain(node: Node, kind: str, channels: int) -> Neuron:
    """A neuron without another inside."""
    if kind not in NEURONS:
        reason = next((why for start, why in REFUSED.items() if kind.startswith(start)), "")
        raise UnsupportedLayerError(
            f"neurons of type {kind!r} cannot be read"
            f"{f' ({reason})' if reason else ''}; supported are {', '.join(NEURONS)}",
            node.place(schema.TYPE),
        )
    return NEURONS[kind](node, channels)


def _check_stand_in(node: Node, neuron: Neuron) -> None:
    """The stock fields must say the same as ours: who edits one must edit the other."""
    if isinstance(neuron, StockNeuron):
        raise FormatError(
            f"it must be {schema.MLIF} or {schema.READOUT}, got {neuron.type}",
            node.place(f"{schema.MULTILEVEL}/{schema.TYPE}"),
        )
    for name, value in cuba_fields(neuron).items():
        if name == schema.TYPE:
            continue
        found = node.integer(name, -(1 << 31), 1 << 31)
        if found != value:
            raise FormatError(
                f"it is {found}, but {schema.MULTILEVEL} says {int(value)}; "
                "change both, or export the network again",
                node.place(name),
            )


def check_stand_in_bias(stock: np.ndarray, full: np.ndarray) -> None:
    """Raise FormatError unless the stock bias is our bias plus V0."""
    if stock.shape != full.shape or np.any(stock != full):
        raise FormatError(
            f"it must be the bias of neuron/{schema.MULTILEVEL} plus its v0, within "
            f"+-{BIAS_LIMIT - 1}; change both, or export the network again",
            schema.BIAS,
        )
