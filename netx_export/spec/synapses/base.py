"""What every synapse answers; a kind that lacks an answer is refused where it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from netx_export.errors import FormatError, UnsupportedLayerError
from netx_export.spec.checks import Shape, integers, source_index, whole
from netx_export.spec.geometry import Geometry
from netx_export.spec.intervals import Bounds
from netx_export.spec.synapses.parts import Part
from netx_export.spec.widths import shift

__all__ = ["WEIGHT_EXP_RANGE", "Synapse"]

WEIGHT_EXP_RANGE = (-8, 16)


@dataclass(frozen=True, eq=False)
class Synapse:
    """Base of the synapses: where from, which integers.

    Attributes
    ----------
    source : int
        Layer index that sends.
    weight : ndarray of int32
        8-bit range.
    weight_exp : int
        The sum is shifted left by this (negative: floor right).
    kind : str
        Its type in the file, and its name everywhere else.
    since : int
        The first version of the file format that has it.
    """

    source: int
    weight: np.ndarray
    weight_exp: int = 0

    kind: ClassVar[str] = ""
    since: ClassVar[int] = 1
    axes: ClassVar[int] = 0  # of weight

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", source_index(self.source))
        weight = integers(self.weight, self.axes, "weight")
        if not weight.size:
            raise FormatError(f"weight must hold values, got shape {weight.shape}")
        object.__setattr__(self, "weight", weight)
        exponent = whole(self.weight_exp, "weight_exp", *WEIGHT_EXP_RANGE)
        object.__setattr__(self, "weight_exp", exponent)

    def _lacks(self, what: str) -> UnsupportedLayerError:
        return UnsupportedLayerError(f"{type(self).__name__} synapses have no {what}")

    @property
    def geometry(self) -> Geometry:
        """Which neurons it connects."""
        raise self._lacks("geometry")

    def output_shape(self, source: Shape) -> Shape:
        """Shape that it gives for a source shape; FormatError if it does not fit."""
        raise self._lacks("output shape")

    def check_padding(self, source: Shape) -> None:
        """FormatError where a padded source would be what exhausts the memory."""

    def products(self, x: np.ndarray) -> np.ndarray:
        """``W x`` of payloads (N, *source shape): int64, exact, before the exponent."""
        raise self._lacks("exact sum")

    def product_bounds(self, source: Bounds) -> Bounds:
        """Interval of :meth:`products` per output channel, for a source that may be silent."""
        raise self._lacks("bounds")

    def sum(self, x: np.ndarray) -> np.ndarray:
        """``floor(W x * 2**weight_exp)``, not cut to 24 bits: int64."""
        return shift(self.products(x), self.weight_exp)

    def split(self, parts: Sequence[Part]) -> tuple[Synapse, ...]:
        """Synapses, one per part of a joined payload, that sum to this one over all of it."""
        if self.weight_exp < 0 and len(parts) > 1:
            raise UnsupportedLayerError(
                "a synapse that rounds its sum (weight_exp below 0) cannot be split over the "
                "layers of a joined payload"
            )
        return tuple(self._part(part) for part in parts)

    def _part(self, part: Part) -> Synapse:
        raise self._lacks("form for a part of a joined payload")

    def taps(self) -> np.ndarray:
        """Weights that are not 0, per source channel and tap: int64 (C, kH, kW)."""
        raise self._lacks("taps")

    def fan_out(self, source: Shape, nonzero: bool = False) -> np.ndarray:
        """Connections that leave every source neuron.

        Parameters
        ----------
        source : tuple of int
            Shape (C, H, W) or (F,) that it reads.
        nonzero : bool
            Count only connections whose weight is not 0; else every one that the geometry
            has, as hardware that stores a kernel or a matrix whole walks through it.

        Returns
        -------
        ndarray of int64, shape ``source``
            See :meth:`Geometry.fan_out`.

        Raises
        ------
        FormatError
            If the synapse does not fit the source.
        """
        self.output_shape(source)
        return self.geometry.fan_out(source, self.taps() if nonzero else None)

    @property
    def multiplies(self) -> bool:
        """Whether weights are stored: an identity of gain 1 only adds."""
        return True

    @property
    def pools(self) -> bool:
        """Whether it sums windows of each channel by itself, all with one weight."""
        return False

    @property
    def text(self) -> str:
        """For tables."""
        return self.kind
