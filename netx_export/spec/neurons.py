"""Neurons as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netx_export.errors import FormatError, RangeError
from netx_export.spec.checks import flag, integers, whole
from netx_export.spec.kernels import Pair
from netx_export.spec.widths import STATE_MAX, STATE_MIN

__all__ = ["MultiLevel", "Neuron", "Readout", "StockNeuron"]


@dataclass(frozen=True, eq=False)
class MultiLevel:
    """Multi-level integrate-and-fire: see :mod:`netx_export.spec.step`."""

    levels: int  # N, payload 0..N
    vth: np.ndarray  # int32 (C,) or (1,), 1..2**23-1
    v0: np.ndarray  # int32, same shape: state at the start of a sample

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


@dataclass(frozen=True, eq=False)
class Readout:
    """Sum without spikes, sent as a signed 24-bit payload.

    ``integrate=True``: ``V = V + a + b``, sends V, reset to 0 with every sample
    (the network's output). ``integrate=False``: sends ``a + b`` (a relay: spike
    sums of SEW-ADD, membrane streams of MS-ResNet, pooled sums).
    """

    integrate: bool = True
    num_message_bits: int = 24  # 8, 16 or 24, signed

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


@dataclass(frozen=True, eq=False)
class StockNeuron:
    """A neuron of lava-dl that only the Lava loader runs (CUBA/LOIHI or SDNN)."""

    type: str
    params: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", dict(self.params))

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload."""
        return (0, 1) if self.type in ("CUBA", "LOIHI") else (STATE_MIN, STATE_MAX)


Neuron = MultiLevel | Readout | StockNeuron
