"""Which neurons a synapse connects, apart from its weights: one record for every kind.

A dense synapse is a 1 x 1 kernel over a map of 1 x 1, a one-to-one synapse a 1 x 1
kernel with as many groups as channels, so the same sums over taps answer for all. Along
an axis, output position o reads source position

    o * stride - padding + k * dilation                     through tap k, or, transposed,
    (o + padding - k * dilation) / stride                   where that is whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from netx_export.errors import FormatError, RangeError
from netx_export.spec.checks import Shape, whole
from netx_export.spec.kernels import Pair, conv_output_size
from netx_export.spec.limits import MAX_NEURONS

__all__ = ["Geometry", "Storage", "pair_of", "rows_of"]

Storage = Literal["kernel", "matrix", "diagonal"]


def pair_of(value: Any, name: str, low: int) -> Pair:
    """The value as two whole numbers of at least ``low``, or a FormatError that names it."""
    try:
        pair = tuple(whole(n, name, low, MAX_NEURONS) for n in value)
    except (TypeError, FormatError, RangeError):
        pair = ()
    if len(pair) != 2:
        raise FormatError(f"{name} must be two whole numbers of at least {low}, got {value!r:.80}")
    return pair[0], pair[1]


def rows_of(shape: Shape) -> tuple[int, int, int]:
    """(C, H, W) of any layer: (F,) is (F, 1, 1)."""
    return (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])


@dataclass(frozen=True)
class Geometry:
    """Channels, taps, and how the weights are stored.

    Attributes
    ----------
    inner, outer : int
        Source and target channels of a group.
    groups : int
        Groups of channels.
    kernel, stride, padding, dilation : (int, int)
        (H, W).
    storage : {"kernel", "matrix", "diagonal"}
        One kernel per target channel for all its positions; a weight per connection,
        every source neuron addressed by itself; or one weight per neuron.
    transposed : bool
        Source and target change places.
    output_padding : (int, int)
        Of a transposed kernel: rows and columns added at the end of the target.
    """

    inner: int = 1
    outer: int = 1
    groups: int = 1
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    storage: Storage = "kernel"
    transposed: bool = False
    output_padding: Pair = (0, 0)

    @property
    def area(self) -> int:
        """Taps of a kernel."""
        return math.prod(self.kernel)

    @property
    def weights(self) -> int:
        """Weights that one target neuron reads through, borders aside."""
        return self.inner * self.area

    @property
    def fan_in(self) -> int:
        """Most connections into one target neuron: taps of one residue, if transposed."""
        return self.inner * math.prod(self._meeting(self.transposed))

    def _meeting(self, strided: bool) -> list[int]:
        """Taps along each axis that meet in a position: of one residue of the stride, or all."""
        return [
            -(-k // (s // math.gcd(s, d))) if strided else k
            for k, s, d in zip(self.kernel, self.stride, self.dilation, strict=True)
        ]

    def output_size(self, size: Pair) -> Pair:
        """(H, W) of the target."""
        if not self.transposed:
            return conv_output_size(size, self.kernel, self.stride, self.padding, self.dilation)
        out = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
            for n, k, s, p, d, e in zip(
                size,
                self.kernel,
                self.stride,
                self.padding,
                self.dilation,
                self.output_padding,
                strict=True,
            )
        ]
        return out[0], out[1]

    def reads(self, axis: int, size: int, out: int) -> np.ndarray:
        """Source position that output o reads through tap k, or -1: int64 (taps, out)."""
        taps = np.arange(self.kernel[axis])[:, None] * self.dilation[axis]
        step, pad = self.stride[axis], self.padding[axis]
        if self.transposed:
            places, rest = np.divmod(np.arange(out) + pad - taps, step)
            places = np.where(rest == 0, places, -1)
        else:
            places = np.arange(out) * step - pad + taps
        return np.where((places >= 0) & (places < size), places, -1)

    def reached(self, axis: int, size: int, out: int) -> np.ndarray:
        """Outputs along an axis that each source position meets through each tap: (taps, size)."""
        found = np.zeros((self.kernel[axis], size), np.int64)
        for k, places in enumerate(self.reads(axis, size, out)):
            found[k] = np.bincount(places[places >= 0], minlength=size)
        return found

    def fan_out(self, source: Shape, taps: np.ndarray | None = None) -> np.ndarray:
        """Connections that leave each neuron of a source of shape (C, H, W).

        With r_h[i, y] and r_w[j, x] of :meth:`reached` and n[c, i, j] the target channels
        that channel c meets through tap (i, j) (``taps``; None: all of its group),

            fan_out[c, y, x] = sum over i, j of n[c, i, j] * r_h[i, y] * r_w[j, x]

        so borders count what they have and padding counts nothing. Source: ours.
        """
        channels, height, width = rows_of(source)
        out = self.output_size((height, width))
        rows = self.reached(0, height, out[0])
        columns = self.reached(1, width, out[1])
        if taps is None:
            taps = np.full((channels, *self.kernel), self.outer, np.int64)
        found = np.einsum("cij,iy,jx->cyx", taps, rows, columns, optimize=True)
        return found.reshape(source)

    def most_reached(self, out: Pair) -> int:
        """An upper bound of the fan-out of one source neuron, for a target of (H, W) ``out``."""
        taps = self._meeting(not self.transposed)
        return math.prod(min(t, n) for t, n in zip(taps, out, strict=True)) * self.outer
