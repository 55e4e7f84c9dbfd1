"""Transposed convolution."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from netx_export.errors import FormatError
from netx_export.spec.checks import Shape, whole
from netx_export.spec.geometry import Geometry, pair_of
from netx_export.spec.intervals import Bounds, matrix_bounds, near, with_zero
from netx_export.spec.kernels import Pair, correlate, exact_dtype
from netx_export.spec.limits import MAX_NEURONS
from netx_export.spec.synapses.base import Synapse
from netx_export.spec.synapses.parts import Part, fewest

__all__ = ["ConvTranspose", "spread", "swapped"]


@dataclass(frozen=True, eq=False)
class ConvTranspose(Synapse):
    """Transposed convolution (torch's ``conv_transpose2d``), one timestep of latency.

    Along an axis, source position i adds ``w[k] * s[i]`` to target position

        i * stride - padding + k * dilation        of (size - 1) * stride - 2 * padding
                                                   + (kernel - 1) * dilation + 1
                                                   + output_padding

    ``weight`` is (C_in, C_out / groups, kH, kW).
    """

    stride: Pair = (1, 1)  # (H, W)
    padding: Pair = (0, 0)  # (H, W), taken off both ends of the target
    dilation: Pair = (1, 1)  # (H, W)
    groups: int = 1
    output_padding: Pair = (0, 0)  # (H, W), added to the end of the target

    kind: ClassVar[str] = "convT"
    since: ClassVar[int] = 2
    axes: ClassVar[int] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low in (("stride", 1), ("padding", 0), ("dilation", 1), ("output_padding", 0)):
            object.__setattr__(self, name, pair_of(getattr(self, name), name, low))
        channels = self.weight.shape[0]
        object.__setattr__(self, "groups", whole(self.groups, "groups", 1, MAX_NEURONS))
        if channels % self.groups:
            raise FormatError(
                f"groups must divide the {channels} input channels, got {self.groups}"
            )
        most = zip(self.output_padding, self.stride, self.dilation, strict=True)
        if any(extra >= max(step, gap) for extra, step, gap in most):
            raise FormatError(
                f"output_padding must be below stride {self.stride} or dilation {self.dilation}, "
                f"got {self.output_padding}"
            )

    @property
    def geometry(self) -> Geometry:
        """See :class:`Synapse`."""
        c_in, outer, k_h, k_w = self.weight.shape
        return Geometry(
            c_in // self.groups,
            outer,
            self.groups,
            (k_h, k_w),
            self.stride,
            self.padding,
            self.dilation,
            transposed=True,
            output_padding=self.output_padding,
        )

    def output_shape(self, source: Shape) -> Shape:
        """(C, H, W) to (C', H', W')."""
        if len(source) != 3:
            raise FormatError(
                f"a transposed convolution needs a source of shape (C, H, W), got {source}"
            )
        if source[0] != self.weight.shape[0]:
            raise FormatError(
                f"weight expects {self.weight.shape[0]} input channels, but its source has "
                f"{source[0]}"
            )
        size = self.geometry.output_size((source[1], source[2]))
        if min(size) < 1:
            raise FormatError(f"padding {self.padding} leaves nothing of a source of {source}")
        return (self.weight.shape[1] * self.groups, *size)

    def check_padding(self, source: Shape) -> None:
        """See :class:`Synapse`; zeros stand between the rows and columns of the source."""
        size = source[0] * math.prod(self._stuffed((source[1], source[2])))
        if size > MAX_NEURONS:
            raise FormatError(
                f"stride {self.stride} makes an input of {size} values, "
                f"at most {MAX_NEURONS} are allowed",
                "stride",
            )

    def _stuffed(self, size: Pair) -> Pair:
        form = self.geometry
        return _stuffed(form.output_size(size), form.kernel, self.dilation)

    def products(self, x: np.ndarray) -> np.ndarray:
        """See :class:`Synapse`."""
        dtype = exact_dtype(swapped(self.weight, self.groups), int(np.abs(x).max(initial=0)))
        return spread(x, self.weight, self.geometry, dtype).astype(np.int64)

    def product_bounds(self, source: Bounds) -> Bounds:
        """See :class:`Synapse`.

        Only taps k of one residue ``k * dilation % stride`` meet in a target position: the
        widest over the residues, which a target as large as the kernel attains.
        """
        low, high = (end.reshape(self.groups, -1) for end in with_zero(source))
        weight = swapped(self.weight, self.groups).transpose(0, 2, 3, 1)
        taps = weight.reshape(self.groups, -1, weight.shape[-1])  # of every tap
        down, up = (ends.reshape(weight.shape[:3]) for ends in matrix_bounds(taps, low, high))
        return near(self._met(down).min((1, 2))), near(self._met(up).max((1, 2)))

    def _met(self, taps: np.ndarray) -> np.ndarray:
        """Values per tap (C, kH, kW), summed over those that meet in a target position."""
        for axis in (0, 1):
            rest = np.arange(taps.shape[1 + axis]) * self.dilation[axis] % self.stride[axis]
            residues, which = np.unique(rest, return_inverse=True)
            found = np.zeros((len(residues), *np.delete(taps.shape, 1 + axis)))  # float64: no wrap
            np.add.at(found, which, np.moveaxis(taps, 1 + axis, 0))
            taps = np.moveaxis(found, 0, 1 + axis)
        return taps

    def _part(self, part: Part) -> Synapse:
        """See :class:`Synapse`."""
        c_in, outer, *kernel = self.weight.shape
        inner = c_in // self.groups
        weight = np.zeros((part.shape[0], outer * self.groups, *kernel), np.int32)
        connected = np.zeros(weight.shape[:2], bool)
        for own, joined in zip(part.own, part.joined, strict=True):
            first = joined // inner * outer
            weight[own, first : first + outer] = self.weight[joined]
            connected[own, first : first + outer] = True
        weight, groups = fewest(weight, connected)
        return replace(self, source=part.source, weight=weight, groups=groups)

    def taps(self) -> np.ndarray:
        """See :class:`Synapse`."""
        return np.count_nonzero(self.weight, axis=1).astype(np.int64)

    @property
    def text(self) -> str:
        """``convT 3x3 /2x2 groups 4``."""
        size = "x".join(str(n) for n in self.weight.shape[2:])
        step = "" if self.stride == (1, 1) else " /{}x{}".format(*self.stride)
        groups = "" if self.groups == 1 else f" groups {self.groups}"
        return f"{self.kind} {size}{step}{groups}"


def swapped(weight: Any, groups: int) -> Any:
    """Source and target channels of a weight change places; its own inverse.

    (C, D / groups, kH, kW) to (D, C / groups, kH, kW), for NumPy and torch.
    """
    outer, *kernel = weight.shape[1:]
    apart = weight.reshape(groups, -1, outer, *kernel).swapaxes(1, 2)
    return apart.reshape(groups * outer, -1, *kernel)


def _stuffed(out: Pair, kernel: Pair, dilation: Pair) -> Pair:
    """(H, W) of the map over which a dense correlation gives ``out``."""
    high, wide = (n + d * (k - 1) for n, k, d in zip(out, kernel, dilation, strict=True))
    return high, wide


def spread(
    x: np.ndarray, weight: np.ndarray, form: Geometry, dtype: type[np.floating]
) -> np.ndarray:
    """:func:`netx_export.spec.kernels.correlate`, transposed: the sums stay in ``dtype``.

    The correlation of the flipped kernel with the source, zeros between its rows and
    columns: position i stands at ``i * stride - padding + (kernel - 1) * dilation``.

    Parameters
    ----------
    x : ndarray, (N, C_in, H, W)
        Payloads.
    weight : ndarray, (C_in, C_out / groups, kH, kW)
        Weights.
    form : Geometry
        Transposed.
    dtype : float type
        That holds every sum.
    """
    size = x.shape[2], x.shape[3]
    wide = _stuffed(form.output_size(size), form.kernel, form.dilation)
    places, kept = [], []
    for n, k, s, p, d, end in zip(
        size, form.kernel, form.stride, form.padding, form.dilation, wide, strict=True
    ):
        at = np.arange(n) * s - p + (k - 1) * d
        inside = np.flatnonzero((at >= 0) & (at < end))
        places.append(at[inside])
        kept.append(inside)
    stuffed = np.zeros((*x.shape[:2], *wide), dtype)
    stuffed[:, :, places[0][:, None], places[1]] = x[:, :, kept[0][:, None], kept[1]]
    turned = swapped(weight, form.groups)[:, :, ::-1, ::-1]
    return correlate(stuffed, turned, (1, 1), (0, 0), form.dilation, form.groups, dtype)
