"""Synapses of a file: one handler a type.

Weights that feed a neuron of lava-dl are what stock Lava makes of them (``stock``);
all others are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from netx_export.errors import FormatError, RangeError, UnsupportedLayerError, at
from netx_export.file import schema
from netx_export.file.fields import Node, whole_numbers
from netx_export.file.stock import dense_weight
from netx_export.spec import Conv, Dense, Identity, Shape, Synapse
from netx_export.spec.synapses import WEIGHT_EXP_RANGE

__all__ = ["SYNAPSES", "read_synapse"]

GEOMETRY_MAX = 1 << 12
FAR = 1 << 31  # what stock would clip or wrap


def read_synapse(node: Node, source: int, shape: Shape, stock: bool) -> Synapse:
    """Read the synapse of a layer or shortcut group into a layer of ``shape``."""
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
    return SYNAPSES[kind](node, source, shape, stock)


def _weights(node: Node, stock: bool) -> np.ndarray:
    if not stock:
        return node.whole(schema.WEIGHT, _axes(node), -256, 255)
    values = np.trunc(node.array(schema.WEIGHT))  # as stock's .astype(int)
    with at(node.place(schema.WEIGHT)):
        return whole_numbers(values, -FAR, FAR, np.int64)


def _axes(node: Node) -> int:
    """Axes that the weights of a synapse have."""
    return {schema.CONV: 4, schema.DENSE: 2, schema.IDENTITY: 1}[node.text(schema.TYPE)]


def _exponent(node: Node, stock: bool) -> int:
    return 0 if stock else node.integer(schema.WEIGHT_EXP, *WEIGHT_EXP_RANGE)


def _conv(node: Node, source: int, shape: Shape, stock: bool) -> Conv:
    weight = _weights(node, stock)
    if stock:
        weight = _drop_ones(weight, 4, node)
        if weight.min(initial=0) < -256 or weight.max(initial=0) > 255:
            raise RangeError(
                f"it must fit 8 bits, got {weight.min()}..{weight.max()}",
                node.place(schema.WEIGHT),
            )
    groups = node.integer(schema.GROUPS, 1, 1 << 20)
    _agree(node, schema.IN_CHANNELS, weight.shape[1] * groups)
    _agree(node, schema.OUT_CHANNELS, weight.shape[0])
    if _pair(node, schema.KERNEL_SIZE, 1) != weight.shape[2:]:
        raise FormatError(
            f"it must be {weight.shape[2:]}, the last axes of weight",
            node.place(schema.KERNEL_SIZE),
        )
    with at(node.place(schema.WEIGHT)):
        return Conv(
            source,
            weight,
            _exponent(node, stock),
            _pair(node, schema.STRIDE, 1),
            _pair(node, schema.PADDING, 0),
            _pair(node, schema.DILATION, 1),
            groups,
        )


def _dense(node: Node, source: int, shape: Shape, stock: bool) -> Dense:
    weight, exponent = _weights(node, stock), 0
    if stock:
        if weight.ndim == 1 and weight.size and weight.size % prod(shape) == 0:
            weight = weight.reshape(prod(shape), -1)
        weight = _drop_ones(weight, 2, node)
        with at(node.place(schema.WEIGHT)):
            weight, exponent = dense_weight(weight)
    else:
        exponent = _exponent(node, stock)
    _agree(node, schema.IN_FEATURES, weight.shape[1])
    _agree(node, schema.OUT_FEATURES, weight.shape[0])
    with at(node.place(schema.WEIGHT)):
        return Dense(source, weight, exponent)


def _identity(node: Node, source: int, shape: Shape, stock: bool) -> Identity:
    if stock:
        raise UnsupportedLayerError(
            "a neuron of lava-dl cannot have a one-to-one synapse here", node.place(schema.TYPE)
        )
    return Identity(source, _weights(node, stock), _exponent(node, stock))


def _drop_ones(weight: np.ndarray, ndim: int, node: Node) -> np.ndarray:
    """SLAYER's kernels are 3-D: later axes of size 1 are time, or left over."""
    if weight.ndim < ndim or prod(weight.shape[ndim:]) != 1 or weight.size == 0:
        raise FormatError(
            f"it must have {ndim} axes and values, got shape {weight.shape}",
            node.place(schema.WEIGHT),
        )
    return weight.reshape(weight.shape[:ndim])


def _agree(node: Node, name: str, expected: int) -> None:
    found = node.integer(name, 0, 1 << 31)
    if found != expected:
        raise FormatError(f"it is {found}, but the weights say {expected}", node.place(name))


def _pair(node: Node, name: str, low: int) -> tuple[int, int]:
    values = node.integers(name, low, GEOMETRY_MAX)
    if len(values) not in (1, 2):
        raise FormatError(f"it must be one or two numbers, got {len(values)}", node.place(name))
    return values[0], values[-1]


SYNAPSES: dict[str, Callable[[Node, int, Shape, bool], Synapse]] = {
    schema.CONV: _conv,
    schema.DENSE: _dense,
    schema.IDENTITY: _identity,
}
