"""One-to-one connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from netx_export.errors import FormatError
from netx_export.spec.checks import Shape
from netx_export.spec.geometry import Geometry
from netx_export.spec.intervals import Bounds, with_zero
from netx_export.spec.synapses.base import Synapse

__all__ = ["Identity"]


@dataclass(frozen=True, eq=False)
class Identity(Synapse):
    """One-to-one connection with a gain per channel, one timestep of latency.

    ``weight`` is (C,).
    """

    kind: ClassVar[str] = "identity"
    axes: ClassVar[int] = 1

    @property
    def geometry(self) -> Geometry:
        """See :class:`Synapse`."""
        return Geometry(groups=self.weight.shape[0], storage="diagonal")

    def output_shape(self, source: Shape) -> Shape:
        """The source's own shape."""
        if source[0] != self.weight.shape[0]:
            raise FormatError(
                f"weight expects {self.weight.shape[0]} channels, but its source has {source[0]}"
            )
        return source

    def products(self, x: np.ndarray) -> np.ndarray:
        """See :class:`Synapse`."""
        gain = self.weight.astype(np.int64).reshape((-1,) + (1,) * (x.ndim - 2))
        product: np.ndarray = x * gain
        return product

    def product_bounds(self, source: Bounds) -> Bounds:
        """See :class:`Synapse`."""
        low, high = with_zero(source)
        gain = self.weight.astype(np.int64)
        ends = gain * low, gain * high
        return np.minimum(*ends), np.maximum(*ends)

    def taps(self) -> np.ndarray:
        """See :class:`Synapse`."""
        return (self.weight != 0).astype(np.int64).reshape(-1, 1, 1)

    @property
    def multiplies(self) -> bool:
        """See :class:`Synapse`."""
        return self.weight_exp != 0 or bool(np.any(self.weight != 1))
