"""Neurons that pass their sum on, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from netx_export.errors import FormatError
from netx_export.spec.checks import flag, whole
from netx_export.spec.intervals import Bounds, Interval, hull
from netx_export.spec.kernels import Pair
from netx_export.spec.neurons.base import Neuron
from netx_export.spec.widths import wrap24

__all__ = ["Readout"]


@dataclass(frozen=True, eq=False)
class Readout(Neuron):
    """Sum without spikes, sent as a signed 24-bit payload.

    ``integrate=True``: ``V = V + a + b``, sends V, reset to 0 with every sample
    (the network's output). ``integrate=False``: sends ``a + b`` (a relay: spike
    sums of SEW-ADD, membrane streams of MS-ResNet, pooled sums).
    """

    integrate: bool = True
    num_message_bits: int = 24  # 8, 16 or 24, signed

    fires: ClassVar[bool] = False
    parameters: ClassVar[int] = 0
    spike_levels: ClassVar[int] = 0

    def __post_init__(self) -> None:
        bits = whole(self.num_message_bits, "num_message_bits", 8, 24)
        if bits % 8:
            raise FormatError(f"num_message_bits must be 8, 16 or 24, got {bits}")
        object.__setattr__(self, "num_message_bits", bits)
        object.__setattr__(self, "integrate", flag(self.integrate, "integrate"))

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload that the message width holds."""
        half = 1 << (self.num_message_bits - 1)
        return -half, half - 1

    def start(self, axes: int) -> np.ndarray:
        """0."""
        return np.zeros((1,) * axes, np.int64)

    def step(
        self, v: np.ndarray, a: np.ndarray, axes: int, overflow: str = "wrap"
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """``V + a`` or ``a``, wrapped to 24 bits; values beyond the message width are counted."""
        total = v + a if self.integrate else a
        low, high = self.payload
        outside = int(np.count_nonzero((total < low) | (total > high)))
        z = wrap24(total)
        return z, z if self.integrate else v, outside

    def bounds(self, a: Bounds, timesteps: int) -> tuple[Interval, Bounds]:
        """Everything that it can send."""
        if self.integrate and timesteps > 1:
            a = np.minimum(a[0], a[0] * timesteps), np.maximum(a[1], a[1] * timesteps)
        return hull(a), a

    def words(self, timesteps: int) -> int:
        """Bias; a state that lasts needs V and V0 too."""
        return 3 if self.integrate and timesteps > 1 else 1

    @property
    def text(self) -> str:
        """See :class:`Neuron`."""
        return "readout" if self.integrate else "relay"
