"""The multi-level integrate-and-fire neuron as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from netx_export.errors import FormatError, RangeError
from netx_export.spec.checks import integers, whole
from netx_export.spec.intervals import Bounds, Interval
from netx_export.spec.kernels import Pair
from netx_export.spec.neurons.base import Neuron, per_channel
from netx_export.spec.neurons.state_bounds import state_bounds
from netx_export.spec.neurons.step import fixed_step, message_bits
from netx_export.spec.widths import STATE_MAX, STATE_MIN

__all__ = ["MultiLevel"]


@dataclass(frozen=True, eq=False)
class MultiLevel(Neuron):
    """Multi-level integrate-and-fire: see :mod:`netx_export.spec.neurons.step`."""

    levels: int  # N, payload 0..N
    vth: np.ndarray  # int32 (C,) or (1,), 1..2**23-1
    v0: np.ndarray  # int32, same shape: state at the start of a sample

    fires: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", whole(self.levels, "levels", 1, STATE_MAX))
        object.__setattr__(self, "vth", integers(self.vth, 1, "vth"))
        object.__setattr__(self, "v0", integers(self.v0, 1, "v0"))
        if self.vth.size == 0 or self.vth.min() < 1 or self.vth.max() > STATE_MAX:
            raise RangeError(f"vth must lie in 1..{STATE_MAX}, got {self.vth.min(initial=0)}")
        if self.v0.shape != self.vth.shape:
            raise FormatError(
                f"v0 must have the shape of vth {self.vth.shape}, got {self.v0.shape}"
            )
        if self.v0.min() < STATE_MIN or self.v0.max() > STATE_MAX:
            raise RangeError(f"v0 must fit 24 bits, got {self.v0.min()}..{self.v0.max()}")

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload."""
        return 0, self.levels

    @property
    def num_message_bits(self) -> int:
        """See :class:`Neuron`."""
        return message_bits(self.levels)

    @property
    def spike_levels(self) -> int:
        """N."""
        return self.levels

    @property
    def parameters(self) -> int:
        """Thresholds and initial states."""
        return self.vth.size + self.v0.size

    def start(self, axes: int) -> np.ndarray:
        """V0."""
        return per_channel(self.v0, axes)

    def step(
        self, v: np.ndarray, a: np.ndarray, axes: int, overflow: str = "wrap"
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """See :func:`netx_export.spec.neurons.step.fixed_step`."""
        return fixed_step(v, a, per_channel(self.vth, axes), self.levels, overflow)

    def bounds(self, a: Bounds, timesteps: int) -> tuple[Interval, Bounds]:
        """See :func:`netx_export.spec.neurons.state_bounds.state_bounds`."""
        return state_bounds(self.vth, self.v0, self.levels, a, timesteps)

    def words(self, timesteps: int) -> int:
        """Bias; at T > 1 state and V0 too; a threshold unless the program can hold it."""
        single = timesteps == 1
        shared = np.unique(self.vth).size == 1 and (single or np.unique(self.v0).size == 1)
        return (1 if single else 3) + (0 if shared else 1 if single else 2)

    def check_channels(self, channels: int) -> None:
        """See :class:`Neuron`."""
        if self.vth.shape[0] not in (1, channels):
            raise FormatError(
                f"vth must have one value or one per channel ({channels}), got {self.vth.shape[0]}"
            )

    @property
    def text(self) -> str:
        """``N=4, vth 12..80, V0 > 0``."""
        low, high = int(self.vth.min()), int(self.vth.max())
        start = "" if not self.v0.any() else ", V0 > 0"
        return f"N={self.levels}, vth {low}" + (f"..{high}" if high > low else "") + start
