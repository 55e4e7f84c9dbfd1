"""Layer groups of a file: one handler a type, and what cannot be read and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from netx_export.errors import FormatError, MLSNNError, RangeError, UnsupportedLayerError, at
from netx_export.file import schema
from netx_export.file.fields import Node
from netx_export.file.neurons import (
    NeuronRead,
    check_stand_in_bias,
    default_neuron,
    read_neuron,
)
from netx_export.file.stock import full_bias
from netx_export.file.synapses import SYNAPSES, Link, read_synapse
from netx_export.spec import (
    Flatten,
    Input,
    Layer,
    Population,
    Shape,
    StockNeuron,
    Synapse,
    limits,
)
from netx_export.spec.widths import STATE_MAX, STATE_MIN, check_weights

__all__ = ["LAYERS", "Place", "read_layer", "read_shape"]

CURRENT_MAX = (1 << 15) - 1  # what a stock input neuron takes: stock's a_in has 16 bits


@dataclass(frozen=True)
class Place:
    """Where a layer stands."""

    name: str
    own: bool  # written by this project; else sequential, as lava-dl writes
    inputs: tuple[int, ...]
    sends: tuple[Shape, ...]  # shapes of the inputs


def read_layer(node: Node, place: Place) -> Layer:
    """Read one layer group. Errors name the field, the caller adds the layer."""
    kind = node.text(schema.TYPE)
    # weight_exp is ours alone: in a layer of lava-dl the type means what lava-dl says
    foreign = not place.own and schema.WEIGHT_EXP not in node
    if kind not in LAYERS or (foreign and kind in REFUSED):
        reason = REFUSED.get(kind, f"known types are {', '.join(LAYERS)}")
        raise UnsupportedLayerError(
            f"layers of type {kind!r} cannot be read; {reason}", schema.TYPE
        )
    return LAYERS[kind](node, place)


def read_shape(node: Node) -> Shape:
    """The shape that a layer group declares."""
    shape = node.integers(schema.SHAPE, 1, limits.MAX_NEURONS)
    if prod(shape) > limits.MAX_NEURONS:
        raise RangeError(
            f"a layer can have {limits.MAX_NEURONS} neurons at most, got shape {shape}",
            schema.SHAPE,
        )
    return shape


def _input(node: Node, place: Place) -> Input:
    shape = read_shape(node)
    neuron: StockNeuron | None = None
    if schema.NEURON in node:
        found = read_neuron(node.group(schema.NEURON), shape[0]).neuron
        if not isinstance(found, StockNeuron):
            raise UnsupportedLayerError(
                "an input layer sends the samples themselves; put the neuron in the next layer",
                schema.NEURON,
            )
        neuron = found
    levels, signed, gain = 1, False, 1.0  # stock takes its input for binary
    if neuron is not None:  # samples are currents into it
        levels, signed = CURRENT_MAX, True
    if place.own or schema.LEVELS in node:
        levels = node.integer(schema.LEVELS, 1, STATE_MAX)
        signed = node.flag(schema.SIGNED)
        gain = float(node.scalar(schema.GAIN))
        if gain <= 0:
            raise RangeError(f"it must be a positive number, got {gain}", schema.GAIN)
    return Input(shape, levels, signed, gain, neuron, place.name)


def _flatten(node: Node, place: Place) -> Flatten:
    shape = read_shape(node)
    if len(place.inputs) != 1:
        raise FormatError(f"a flatten layer has one source, got {len(place.inputs)}", schema.INPUTS)
    return Flatten(place.inputs[0], shape if place.own else (prod(shape),), place.name)


def _population(node: Node, place: Place) -> Population:
    shape = read_shape(node)
    if not place.own and node.text(schema.TYPE) == schema.DENSE:
        shape = (prod(shape),)
    if schema.DELAY in node and np.any(node.array(schema.DELAY)):
        raise UnsupportedLayerError(
            "delays per neuron cannot be read; train without them, or move them into layers",
            schema.DELAY,
        )
    read = _neuron(node, place, shape[0])
    stock = not place.own and not read.neuron.exact
    synapses = _synapses(node, place, shape, stock)
    if read.neuron.exact:
        for k, synapse in enumerate(synapses):
            with at(schema.WEIGHT if k == 0 else f"{schema.SHORTCUT}/{k}/{schema.WEIGHT}"):
                check_weights(synapse.weight)
    scale = None
    if schema.SCALE in node:
        scale = node.array(schema.SCALE, 1, shape[0]).astype(np.float64)
        if scale.size not in (1, shape[0]):
            raise FormatError(
                f"it must have one value or one per channel ({shape[0]}), got {scale.size}",
                schema.SCALE,
            )
    bias = _bias(node, read, stock, shape[0])
    try:
        layer = Population(place.name, shape, synapses, read.neuron, bias, scale)
    except MLSNNError as error:  # the caller says which layer
        raise type(error)(error.message) from None
    if read.own_bias is not None:
        stock_bias = node.whole(schema.BIAS, 1, STATE_MIN, STATE_MAX, shape[0])
        check_stand_in_bias(stock_bias, full_bias(layer))
    return layer


def _neuron(node: Node, place: Place, channels: int) -> NeuronRead:
    if schema.NEURON not in node and not place.own and node.text(schema.TYPE) == schema.DENSE:
        return NeuronRead(default_neuron())
    return read_neuron(node.group(schema.NEURON), channels)


def _bias(node: Node, read: NeuronRead, stock: bool, channels: int) -> np.ndarray | None:
    where = node if read.own_bias is None else read.own_bias
    if schema.BIAS not in where:
        return None
    if not stock:
        return where.whole(schema.BIAS, 1, STATE_MIN, STATE_MAX, channels)
    values = np.trunc(node.array(schema.BIAS, most=channels)).reshape(-1)
    if values.min(initial=0) < STATE_MIN or values.max(initial=0) > STATE_MAX:
        raise RangeError(f"it must fit 24 bits, got {values.min()}..{values.max()}", schema.BIAS)
    bias: np.ndarray = values.astype(np.int32)
    return bias


def _synapses(node: Node, place: Place, shape: Shape, stock: bool) -> tuple[Synapse, ...]:
    links = [
        Link(source, sends, shape, stock)
        for source, sends in zip(place.inputs, place.sends, strict=True)
    ]
    first = read_synapse(node, links[0])
    if len(links) == 1:
        if schema.SHORTCUT in node:
            raise FormatError(
                f"{schema.INPUTS} names 1 source, but there is a {schema.SHORTCUT} group",
                schema.INPUTS,
            )
        return (first,)
    shortcuts = node.group(schema.SHORTCUT)
    wanted = {str(k) for k in range(1, len(place.inputs))}
    if set(shortcuts.names()) != wanted:
        raise FormatError(
            f"{len(place.inputs)} {schema.INPUTS} need the groups {schema.SHORTCUT}/1 to "
            f"{schema.SHORTCUT}/{len(place.inputs) - 1}, got {sorted(shortcuts.names())}",
            schema.SHORTCUT,
        )
    return (
        first,
        *(read_synapse(shortcuts.group(str(k)), link) for k, link in enumerate(links[1:], 1)),
    )


LAYERS: dict[str, Callable[[Node, Place], Layer]] = {
    schema.INPUT: _input,
    schema.FLATTEN: _flatten,
    **dict.fromkeys(SYNAPSES, _population),
}

REFUSED = {
    "pool": "stock Lava cannot run it either; train with block.Pool or block.MaxPool",
    "convT": "stock Lava cannot run transposed convolutions either",
    "unpool": "stock Lava cannot run it either",
    "average": "Lava has no averaging layer; leave it out and average the output afterwards",
    "concat": "stock Lava cannot run it either; add instead of joining channels",
    "dense_rec": "recurrent layers are not supported, the network must be a DAG",
    "dense_comp": "complex weights are not supported",
}
