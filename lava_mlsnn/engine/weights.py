"""Weights as 8-bit operands, and all the arms of one population as convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from netx_export.spec import Conv, Dense, MultiLevel, Population, Synapse
from netx_export.spec.kernels import Pair
from netx_export.spec.kinds import of_kind

__all__ = ["ARMS", "Arm", "arm_of", "halved", "inside", "merged", "ordinary", "thresholds"]


class Arm(NamedTuple):
    """A weighted synapse as a convolution over (B, C, H, W)."""

    source: int  # layer index
    weight: np.ndarray  # int32 (C_out, C_in / groups, kH, kW)
    exponent: int
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int


def arm_of(synapse: Synapse) -> Arm:
    """A convolution as it is; a dense synapse as one over a map of 1 x 1."""
    return of_kind(ARMS, synapse, "the engine")(synapse)


def _dense(synapse: Dense) -> Arm:
    weight = synapse.weight[:, :, None, None]
    return Arm(synapse.source, weight, synapse.weight_exp, (1, 1), (0, 0), (1, 1), 1)


def _conv(synapse: Conv) -> Arm:
    return Arm(
        synapse.source,
        synapse.weight,
        synapse.weight_exp,
        synapse.stride,
        synapse.padding,
        synapse.dilation,
        synapse.groups,
    )


ARMS: dict[type, Callable[[Any], Arm]] = {Conv: _conv, Dense: _dense}


def inside(arm: Arm) -> bool:
    """Whether every window touches the map.

    oneDNN 3.3 (torch 2.3) reads beyond its input, in any number type, where a whole
    window lies in the padding.
    """
    return all(
        p <= d * (k - 1)
        for p, d, k in zip(arm.padding, arm.dilation, arm.weight.shape[2:], strict=True)
    )


def ordinary(arm: Arm) -> bool:
    """Whether a geometry is one that torch's 8-bit convolutions are trusted with.

    :func:`inside`, and more than one input channel: for one, with stride 2 and one
    column of output, oneDNN 3.3 gives wrong sums (floats: ``exact_settings.written_whole``).
    """
    return inside(arm) and arm.weight.shape[1] > 1


def halved(weight: np.ndarray) -> tuple[np.ndarray, int] | None:
    """Signed bytes, C-contiguous, and the power of two that they were divided by; or None.

    Mixed-sign weights beyond -128..127 are even (Loihi stores an 8-bit mantissa),
    so their halves fit.
    """
    low, high = int(weight.min()), int(weight.max())
    if low < -256 or high > 254:
        return None
    small = np.empty(weight.shape, np.int8)
    if low >= -128 and high <= 127:
        small[...] = weight
        return small, 1
    if np.bitwise_or.reduce(weight, axis=None) & 1:
        return None
    np.right_shift(weight, 1, out=small, casting="unsafe")
    return small, 2


def merged(first: Arm, other: Arm) -> np.ndarray | None:
    """The weight that computes both arms at once over their channels put side by side.

    ``other`` is a 1 x 1 convolution, which reads every stride-th value of its source:
    these values lie under the middle of the first kernel. None if it is not, or if
    its weights are no multiples of the first one's unit.
    """
    plain = first.stride == (1, 1) and first.groups == other.groups == 1
    size = first.weight.shape[2:]
    middle = first.padding
    same = plain and all(
        2 * p == d * (k - 1) for p, d, k in zip(middle, first.dilation, size, strict=True)
    )
    pixel = other.weight.shape[2:] == (1, 1) and other.padding == (0, 0)
    up = other.exponent - first.exponent
    if not (same and pixel) or up < 0 or any(k % 2 == 0 for k in size):
        return None
    out, inner = other.weight.shape[:2]
    raised = other.weight[:, :, 0, 0].astype(np.int64) << up
    if raised.min() < -256 or raised.max() > 255:
        return None
    wide = np.zeros((out, inner, *size), np.int32)
    wide[:, :, size[0] // 2, size[1] // 2] = raised
    whole = np.concatenate([first.weight, wide], axis=1)
    return whole if halved(whole) is not None else None


def thresholds(layer: Population, neuron: MultiLevel) -> tuple[np.ndarray, np.ndarray]:
    """vth, and the bias with V0, of every channel: (C,), int64."""
    vth, v0 = (
        np.broadcast_to(x, layer.shape[:1]).astype(np.int64) for x in (neuron.vth, neuron.v0)
    )
    return vth, v0 if layer.bias is None else v0 + layer.bias
