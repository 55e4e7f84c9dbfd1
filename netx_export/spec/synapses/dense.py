"""All-to-all connection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from netx_export.errors import FormatError
from netx_export.spec.checks import Shape
from netx_export.spec.geometry import Geometry
from netx_export.spec.intervals import Bounds, matrix_bounds, with_zero
from netx_export.spec.kernels import dense, exact_dtype
from netx_export.spec.synapses.base import Synapse
from netx_export.spec.synapses.parts import Part

__all__ = ["Dense"]


@dataclass(frozen=True, eq=False)
class Dense(Synapse):
    """All-to-all connection from a flat source, one timestep of latency.

    ``weight`` is (F_out, F_in).
    """

    kind: ClassVar[str] = "dense"
    axes: ClassVar[int] = 2

    @property
    def geometry(self) -> Geometry:
        """See :class:`Synapse`."""
        return Geometry(self.weight.shape[1], self.weight.shape[0], storage="matrix")

    def output_shape(self, source: Shape) -> Shape:
        """(F_in,) to (F_out,)."""
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

    def products(self, x: np.ndarray) -> np.ndarray:
        """See :class:`Synapse`."""
        return dense(x, self.weight, exact_dtype(self.weight, int(np.abs(x).max(initial=0))))

    def product_bounds(self, source: Bounds) -> Bounds:
        """See :class:`Synapse`."""
        low, high = with_zero(source)
        return matrix_bounds(self.weight[None], low[None], high[None])

    def _part(self, part: Part) -> Synapse:
        """See :class:`Synapse`."""
        weight = np.zeros((self.weight.shape[0], part.shape[0]), np.int32)
        weight[:, part.own] = self.weight[:, part.joined]
        return replace(self, source=part.source, weight=weight)

    def taps(self) -> np.ndarray:
        """See :class:`Synapse`."""
        return np.count_nonzero(self.weight, axis=0).astype(np.int64).reshape(-1, 1, 1)
