"""Synapses of a file: how each kind is read and written.

Weights that feed a neuron of lava-dl are what stock Lava makes of them (``stock``);
all others are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from netx_export.errors import FormatError, RangeError, UnsupportedLayerError, at
from netx_export.file import schema
from netx_export.file.fields import Node, whole_numbers
from netx_export.file.stock import dense_weight
from netx_export.file.values import put_array, put_type
from netx_export.spec import Conv, ConvTranspose, Dense, Identity, Shape, Synapse
from netx_export.spec.geometry import Geometry
from netx_export.spec.kernels import Pair
from netx_export.spec.kinds import of_kind
from netx_export.spec.synapses.base import WEIGHT_EXP_RANGE

if TYPE_CHECKING:
    import h5py

__all__ = ["SYNAPSES", "Link", "read_synapse", "write_synapse"]

WEIGHT_RANGE = (-256, 255)  # one 8-bit synapse group, either sign
GEOMETRY_MAX = 1 << 12
FAR = 1 << 31  # what stock would clip or wrap


class Link(NamedTuple):
    """Where a synapse stands: its source, that one's shape, and the shape of its layer."""

    source: int
    sends: Shape
    shape: Shape
    stock: bool  # into a neuron of lava-dl


def read_synapse(node: Node, link: Link) -> Synapse:
    """Read the synapse of a layer or shortcut group.

    What the weights must be follows from the two shapes and the geometry, and is compared
    with what they declare before any of them is read.
    """
    kind = node.text(schema.TYPE)
    if kind not in SYNAPSES:
        raise UnsupportedLayerError(
            f"synapses of type {kind!r} cannot be read; known types are {', '.join(SYNAPSES)}",
            node.place(schema.TYPE),
        )
    if node.is_group(schema.WEIGHT):
        raise UnsupportedLayerError(
            "complex weights cannot be read, Lava runs them only in neurons that resonate",
            node.place(schema.WEIGHT),
        )
    return SYNAPSES[kind].read(node, link)


def write_synapse(handle: h5py.Group, synapse: Synapse) -> None:
    """Write a synapse into its group.

    Raises
    ------
    UnsupportedLayerError
        For a kind that the format does not have.
    RangeError
        If a weight does not fit 8 bits.
    """
    kind = of_kind({codec.kind: codec for codec in SYNAPSES.values()}, synapse, "the file format")
    weight = synapse.weight
    if weight.size and (weight.min() < WEIGHT_RANGE[0] or weight.max() > WEIGHT_RANGE[1]):
        raise RangeError(f"weights must fit 8 bits, got {weight.min()}..{weight.max()}", "weight")
    put_array(handle, schema.WEIGHT, weight.astype(np.int16))
    handle[schema.WEIGHT_EXP] = np.int64(synapse.weight_exp)
    put_type(handle, kind.kind.kind)
    for name, value in kind.fields(synapse).items():
        handle[name] = np.asarray(value, np.int64)


def _conv_fields(synapse: Conv | ConvTranspose) -> dict[str, Any]:
    form = synapse.geometry
    return {
        schema.IN_CHANNELS: form.inner * form.groups,
        schema.OUT_CHANNELS: form.outer * form.groups,
        schema.KERNEL_SIZE: form.kernel,
        schema.STRIDE: synapse.stride,
        schema.PADDING: synapse.padding,
        schema.DILATION: synapse.dilation,
        schema.GROUPS: synapse.groups,
    }


def _conv_transpose_fields(synapse: ConvTranspose) -> dict[str, Any]:
    return {**_conv_fields(synapse), schema.OUTPUT_PADDING: synapse.output_padding}


def _dense_fields(synapse: Dense) -> dict[str, Any]:
    return {
        schema.IN_FEATURES: synapse.weight.shape[1],
        schema.OUT_FEATURES: synapse.weight.shape[0],
    }


def _identity_fields(synapse: Identity) -> dict[str, Any]:
    return {}


def _weights(node: Node, stock: bool, *expected: Shape) -> np.ndarray:
    """Weights that declare one of the shapes, or (stock) that with later axes of size 1."""
    found, ndim = node.shape(schema.WEIGHT), len(expected[0])
    # SLAYER's kernels are 3-D: later axes of size 1 are time, or left over
    cut = found[:ndim] if stock and prod(found[ndim:]) == 1 else found
    with at(node.place(schema.WEIGHT)):
        if len(cut) not in map(len, expected):
            raise FormatError(f"it must have {ndim} axes and values, got shape {found}")
        if cut not in expected:
            raise FormatError(
                f"it must have shape {expected[0]} between its source and its layer, got {found}"
            )
    if not stock:
        return node.whole(schema.WEIGHT, ndim, *WEIGHT_RANGE)
    values = np.trunc(node.array(schema.WEIGHT))  # as stock's .astype(int)
    with at(node.place(schema.WEIGHT)):
        return whole_numbers(values, -FAR, FAR, np.int64).reshape(expected[0])


def _exponent(node: Node, stock: bool) -> int:
    return 0 if stock else node.integer(schema.WEIGHT_EXP, *WEIGHT_EXP_RANGE)


def _conv(node: Node, link: Link) -> Conv:
    form = _windows(node, link)
    expected = (link.shape[0], form.inner, *form.kernel)
    weight = _weights(node, link.stock, expected)
    if link.stock and (weight.min() < -256 or weight.max() > 255):
        raise RangeError(
            f"it must fit 8 bits, got {weight.min()}..{weight.max()}", node.place(schema.WEIGHT)
        )
    exponent = _exponent(node, link.stock)
    with at(node.place(schema.WEIGHT)):
        return Conv(
            link.source, weight, exponent, form.stride, form.padding, form.dilation, form.groups
        )


def _conv_transpose(node: Node, link: Link) -> ConvTranspose:
    if link.stock:
        raise UnsupportedLayerError(
            "a neuron of lava-dl cannot have a transposed convolution here", node.place(schema.TYPE)
        )
    form = _windows(node, link, _pair(node, schema.OUTPUT_PADDING, 0))
    weight = _weights(node, False, (link.sends[0], form.outer, *form.kernel))
    with at(node.place(schema.WEIGHT)):
        return ConvTranspose(
            link.source,
            weight,
            _exponent(node, False),
            form.stride,
            form.padding,
            form.dilation,
            form.groups,
            form.output_padding,
        )


def _windows(node: Node, link: Link, output_padding: Pair | None = None) -> Geometry:
    """Geometry of a convolution; with output padding, of a transposed one."""
    if len(link.sends) != 3 or len(link.shape) != 3:
        raise FormatError(
            f"a convolution joins shapes (C, H, W), got {link.sends} and {link.shape}",
            node.place(schema.TYPE),
        )
    groups = node.integer(schema.GROUPS, 1, 1 << 20)
    _agree(node, schema.IN_CHANNELS, link.sends[0])
    _agree(node, schema.OUT_CHANNELS, link.shape[0])
    if link.sends[0] % groups or link.shape[0] % groups:
        raise FormatError(
            f"it must divide {link.sends[0]} input and {link.shape[0]} output channels, "
            f"got {groups}",
            node.place(schema.GROUPS),
        )
    kernel, padding = _pair(node, schema.KERNEL_SIZE, 1), _pair(node, schema.PADDING, 0)
    stride, dilation = _pair(node, schema.STRIDE, 1), _pair(node, schema.DILATION, 1)
    form = Geometry(
        link.sends[0] // groups,
        link.shape[0] // groups,
        groups,
        kernel,
        stride,
        padding,
        dilation,
        transposed=output_padding is not None,
        output_padding=output_padding or (0, 0),
    )
    size = form.output_size((link.sends[1], link.sends[2]))
    if size != link.shape[1:]:
        raise FormatError(
            f"the synapse from layer {link.source} gives shape {(link.shape[0], *size)}, "
            f"but the layer has {link.shape}",
            node.place(schema.KERNEL_SIZE),
        )
    return form


def _dense(node: Node, link: Link) -> Dense:
    if len(link.sends) != 1 or len(link.shape) != 1:
        raise FormatError(
            f"a dense synapse joins flat layers, got shapes {link.sends} and {link.shape}; "
            "put a flatten layer between",
            node.place(schema.TYPE),
        )
    inputs, outputs = link.sends[0], link.shape[0]
    _agree(node, schema.IN_FEATURES, inputs)
    _agree(node, schema.OUT_FEATURES, outputs)
    flat = ((inputs * outputs,),) if link.stock else ()
    weight = _weights(node, link.stock, (outputs, inputs), *flat)
    if link.stock:
        with at(node.place(schema.WEIGHT)):
            weight, exponent = dense_weight(weight)
    else:
        exponent = _exponent(node, link.stock)
    with at(node.place(schema.WEIGHT)):
        return Dense(link.source, weight, exponent)


def _identity(node: Node, link: Link) -> Identity:
    if link.stock:
        raise UnsupportedLayerError(
            "a neuron of lava-dl cannot have a one-to-one synapse here", node.place(schema.TYPE)
        )
    weight = _weights(node, False, link.sends[:1])
    return Identity(link.source, weight, _exponent(node, False))


def _agree(node: Node, name: str, expected: int) -> None:
    found = node.integer(name, 0, 1 << 31)
    if found != expected:
        raise FormatError(f"it is {found}, but the layers say {expected}", node.place(name))


def _pair(node: Node, name: str, low: int) -> tuple[int, int]:
    values = node.integers(name, low, GEOMETRY_MAX)
    if len(values) not in (1, 2):
        raise FormatError(f"it must be one or two numbers, got {len(values)}", node.place(name))
    return values[0], values[-1]


class SynapseCodec(NamedTuple):
    """A kind, how it is read, and the fields beside its weights."""

    kind: type[Synapse]
    read: Callable[[Node, Link], Synapse]
    fields: Callable[[Any], dict[str, Any]]


SYNAPSES: dict[str, SynapseCodec] = {
    codec.kind.kind: codec
    for codec in (
        SynapseCodec(Conv, _conv, _conv_fields),
        SynapseCodec(ConvTranspose, _conv_transpose, _conv_transpose_fields),
        SynapseCodec(Dense, _dense, _dense_fields),
        SynapseCodec(Identity, _identity, _identity_fields),
    )
}
