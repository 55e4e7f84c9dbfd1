"""Synapses as data: where from, which integers, which geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from netx_export.errors import FormatError, RangeError
from netx_export.spec.checks import Shape, integers, source_index, whole
from netx_export.spec.kernels import Pair, conv_output_size
from netx_export.spec.limits import MAX_NEURONS

__all__ = ["WEIGHT_EXP_RANGE", "Conv", "Dense", "Identity", "Synapse"]

WEIGHT_EXP_RANGE = (-8, 16)


def _check(synapse: Synapse, ndim: int) -> None:
    """What all synapses have: a source, weights of ``ndim`` axes, an exponent."""
    object.__setattr__(synapse, "source", source_index(synapse.source))
    weight = integers(synapse.weight, ndim, "weight")
    if not weight.size:
        raise FormatError(f"weight must hold values, got shape {weight.shape}")
    object.__setattr__(synapse, "weight", weight)
    exponent = whole(synapse.weight_exp, "weight_exp", *WEIGHT_EXP_RANGE)
    object.__setattr__(synapse, "weight_exp", exponent)


def _pair(value: Any, name: str, low: int) -> Pair:
    try:
        pair = tuple(whole(n, name, low, MAX_NEURONS) for n in value)
    except (TypeError, FormatError, RangeError):
        pair = ()
    if len(pair) != 2:
        raise FormatError(f"{name} must be two whole numbers of at least {low}, got {value!r:.80}")
    return pair[0], pair[1]


@dataclass(frozen=True, eq=False)
class Conv:
    """Convolution (torch cross-correlation), one timestep of latency."""

    source: int  # layer index that sends
    weight: np.ndarray  # int32 (C_out, C_in/groups, kH, kW), 8-bit range
    weight_exp: int = 0  # activation is shifted left by this (negative: floor right)
    stride: Pair = (1, 1)  # (H, W)
    padding: Pair = (0, 0)  # (H, W), zeros
    dilation: Pair = (1, 1)  # (H, W)
    groups: int = 1

    def __post_init__(self) -> None:
        _check(self, 4)
        for name in ("stride", "padding", "dilation"):
            low = 0 if name == "padding" else 1
            object.__setattr__(self, name, _pair(getattr(self, name), name, low))
        channels = self.weight.shape[0]
        object.__setattr__(self, "groups", whole(self.groups, "groups", 1, MAX_NEURONS))
        if channels % self.groups:
            raise FormatError(
                f"groups must divide the {channels} output channels, got {self.groups}"
            )

    def output_shape(self, source: Shape) -> Shape:
        """Shape (C, H, W) that this synapse gives for a source shape."""
        if len(source) != 3:
            raise FormatError(f"a convolution needs a source of shape (C, H, W), got {source}")
        channels = self.weight.shape[1] * self.groups
        if source[0] != channels:
            raise FormatError(
                f"weight expects {channels} input channels, but its source has {source[0]}"
            )
        size = conv_output_size(
            (source[1], source[2]),
            (self.weight.shape[2], self.weight.shape[3]),
            self.stride,
            self.padding,
            self.dilation,
        )
        if min(size) < 1:
            raise FormatError(f"the kernel does not fit a source of shape {source}")
        return (self.weight.shape[0], *size)


@dataclass(frozen=True, eq=False)
class Dense:
    """All-to-all connection from a flat source, one timestep of latency."""

    source: int
    weight: np.ndarray  # int32 (F_out, F_in), 8-bit range
    weight_exp: int = 0

    def __post_init__(self) -> None:
        _check(self, 2)

    def output_shape(self, source: Shape) -> Shape:
        """Shape (F,) that this synapse gives for a source shape (F_in,)."""
        if len(source) != 1:
            raise FormatError(
                f"a dense synapse needs a flat source, got shape {source}; "
                "put a flatten layer between"
            )
        if source[0] != self.weight.shape[1]:
            raise FormatError(
                f"weight expects {self.weight.shape[1]} inputs, but its source has {source[0]}"
            )
        return (self.weight.shape[0],)


@dataclass(frozen=True, eq=False)
class Identity:
    """One-to-one connection with a gain per channel, one timestep of latency."""

    source: int
    weight: np.ndarray  # int32 (C,), 8-bit range
    weight_exp: int = 0

    def __post_init__(self) -> None:
        _check(self, 1)

    def output_shape(self, source: Shape) -> Shape:
        """The source's own shape."""
        if source[0] != self.weight.shape[0]:
            raise FormatError(
                f"weight expects {self.weight.shape[0]} channels, but its source has {source[0]}"
            )
        return source


Synapse = Conv | Dense | Identity
