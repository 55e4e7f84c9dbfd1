"""Synapses as data: where from, which integers, which geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netx_export.errors import FormatError, RangeError
from netx_export.spec.checks import Shape, integers
from netx_export.spec.kernels import Pair, conv_output_size

__all__ = ["WEIGHT_EXP_RANGE", "Conv", "Dense", "Identity", "Synapse"]

WEIGHT_EXP_RANGE = (-8, 16)


def _check_exp(weight_exp: int) -> None:
    low, high = WEIGHT_EXP_RANGE
    if not low <= weight_exp <= high:
        raise RangeError(f"weight_exp must lie in {low}..{high}, got {weight_exp}")


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
        object.__setattr__(self, "weight", integers(self.weight, 4, "weight"))
        _check_exp(self.weight_exp)
        for name in ("stride", "padding", "dilation"):
            pair = tuple(int(x) for x in getattr(self, name))
            low = 0 if name == "padding" else 1
            if len(pair) != 2 or min(pair) < low:
                raise FormatError(f"{name} must be two numbers of at least {low}, got {pair}")
            object.__setattr__(self, name, pair)
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise FormatError(
                f"groups must divide the {self.weight.shape[0]} output channels, got {self.groups}"
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
        object.__setattr__(self, "weight", integers(self.weight, 2, "weight"))
        _check_exp(self.weight_exp)

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
        object.__setattr__(self, "weight", integers(self.weight, 1, "weight"))
        _check_exp(self.weight_exp)

    def output_shape(self, source: Shape) -> Shape:
        """The source's own shape."""
        if source[0] != self.weight.shape[0]:
            raise FormatError(
                f"weight expects {self.weight.shape[0]} channels, but its source has {source[0]}"
            )
        return source


Synapse = Conv | Dense | Identity
