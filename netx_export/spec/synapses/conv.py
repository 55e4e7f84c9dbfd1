"""Convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from netx_export.errors import FormatError
from netx_export.spec.checks import Shape, whole
from netx_export.spec.geometry import Geometry, pair_of
from netx_export.spec.intervals import Bounds, matrix_bounds, with_zero
from netx_export.spec.kernels import Pair, conv2d, exact_dtype
from netx_export.spec.limits import MAX_NEURONS
from netx_export.spec.synapses.base import Synapse
from netx_export.spec.synapses.parts import Part, fewest

__all__ = ["Conv"]


@dataclass(frozen=True, eq=False)
class Conv(Synapse):
    """Convolution (torch cross-correlation), one timestep of latency.

    ``weight`` is (C_out, C_in / groups, kH, kW); padding is zeros.
    """

    stride: Pair = (1, 1)  # (H, W)
    padding: Pair = (0, 0)  # (H, W)
    dilation: Pair = (1, 1)  # (H, W)
    groups: int = 1

    kind: ClassVar[str] = "conv"
    axes: ClassVar[int] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("stride", "padding", "dilation"):
            low = 0 if name == "padding" else 1
            object.__setattr__(self, name, pair_of(getattr(self, name), name, low))
        channels = self.weight.shape[0]
        object.__setattr__(self, "groups", whole(self.groups, "groups", 1, MAX_NEURONS))
        if channels % self.groups:
            raise FormatError(
                f"groups must divide the {channels} output channels, got {self.groups}"
            )

    @property
    def geometry(self) -> Geometry:
        """See :class:`Synapse`."""
        c_out, inner, k_h, k_w = self.weight.shape
        return Geometry(
            inner,
            c_out // self.groups,
            self.groups,
            (k_h, k_w),
            self.stride,
            self.padding,
            self.dilation,
        )

    def output_shape(self, source: Shape) -> Shape:
        """(C, H, W) to (C', H', W')."""
        if len(source) != 3:
            raise FormatError(f"a convolution needs a source of shape (C, H, W), got {source}")
        channels = self.weight.shape[1] * self.groups
        if source[0] != channels:
            raise FormatError(
                f"weight expects {channels} input channels, but its source has {source[0]}"
            )
        size = self.geometry.output_size((source[1], source[2]))
        if min(size) < 1:
            raise FormatError(f"the kernel does not fit a source of shape {source}")
        return (self.weight.shape[0], *size)

    def check_padding(self, source: Shape) -> None:
        """See :class:`Synapse`."""
        c, h, w = source
        size = c * (h + 2 * self.padding[0]) * (w + 2 * self.padding[1])
        if size > MAX_NEURONS:
            raise FormatError(
                f"padding {self.padding} makes an input of {size} values, "
                f"at most {MAX_NEURONS} are allowed",
                "padding",
            )

    def products(self, x: np.ndarray) -> np.ndarray:
        """See :class:`Synapse`."""
        dtype = exact_dtype(self.weight, int(np.abs(x).max(initial=0)))
        window = (self.stride, self.padding, self.dilation)
        return conv2d(x, self.weight, *window, self.groups, dtype)

    def product_bounds(self, source: Bounds) -> Bounds:
        """See :class:`Synapse`."""
        taps = self.geometry.area
        low, high = (end.reshape(self.groups, -1).repeat(taps, axis=1) for end in with_zero(source))
        outer = self.weight.shape[0] // self.groups
        return matrix_bounds(self.weight.reshape(self.groups, outer, -1), low, high)

    def _part(self, part: Part) -> Synapse:
        """See :class:`Synapse`."""
        c_out, inner, *kernel = self.weight.shape
        weight = np.zeros((c_out, part.shape[0], *kernel), np.int32)
        connected = np.zeros(weight.shape[:2], bool)
        outer = c_out // self.groups
        for own, joined in zip(part.own, part.joined, strict=True):
            first = joined // inner * outer
            weight[first : first + outer, own] = self.weight[first : first + outer, joined % inner]
            connected[first : first + outer, own] = True
        weight, groups = fewest(weight, connected)
        return replace(self, source=part.source, weight=weight, groups=groups)

    def taps(self) -> np.ndarray:
        """See :class:`Synapse`."""
        stored = (self.weight != 0).reshape(self.groups, -1, *self.weight.shape[1:])
        return stored.sum(axis=1, dtype=np.int64).reshape(-1, *self.weight.shape[2:])

    @property
    def pools(self) -> bool:
        """See :class:`Synapse`."""
        flat = self.weight.reshape(self.weight.shape[0], -1)
        alike = flat.shape[1] > 1 and bool(np.all(flat == flat[:, :1]))
        alone = self.weight.shape[1] == 1 and self.groups == self.weight.shape[0]
        return alike and alone and self.padding == (0, 0)

    @property
    def text(self) -> str:
        """``conv 3x3 /2x2 groups 4``."""
        size = "x".join(str(n) for n in self.weight.shape[2:])
        step = "" if self.stride == (1, 1) else " /{}x{}".format(*self.stride)
        groups = "" if self.groups == 1 else f" groups {self.groups}"
        return f"{self.kind} {size}{step}{groups}"
