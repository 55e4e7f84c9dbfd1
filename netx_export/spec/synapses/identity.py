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
from netx_export.spec.synapses.conv import Conv
from netx_export.spec.synapses.dense import Dense
from netx_export.spec.synapses.parts import Part, fewest

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

    def _part(self, part: Part) -> Synapse:
        """See :class:`Synapse`; a 1x1 convolution or a matrix, since it goes to other channels."""
        weight = np.zeros((self.weight.shape[0], part.shape[0]), np.int32)
        weight[part.joined, part.own] = self.weight[part.joined]
        if len(part.shape) == 1:
            return Dense(part.source, weight, self.weight_exp)
        connected = np.zeros(weight.shape, bool)
        connected[part.joined, part.own] = True
        kernel, groups = fewest(weight[..., None, None], connected)
        return Conv(part.source, kernel, self.weight_exp, groups=groups)

    def taps(self) -> np.ndarray:
        """See :class:`Synapse`."""
        return (self.weight != 0).astype(np.int64).reshape(-1, 1, 1)

    @property
    def multiplies(self) -> bool:
        """See :class:`Synapse`."""
        return self.weight_exp != 0 or bool(np.any(self.weight != 1))
