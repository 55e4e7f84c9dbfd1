"""Neurons of lava-dl as data: only the Lava loader runs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from netx_export.spec.intervals import Bounds, Interval
from netx_export.spec.kernels import Pair
from netx_export.spec.neurons.base import Neuron
from netx_export.spec.widths import STATE_MAX, STATE_MIN

__all__ = ["StockNeuron"]

WORDS = 4  # two states, bias, threshold (assumed)


@dataclass(frozen=True, eq=False)
class StockNeuron(Neuron):
    """A neuron of lava-dl that only the Lava loader runs (CUBA/LOIHI or SDNN)."""

    type: str
    params: dict[str, Any] = field(default_factory=dict)

    exact: ClassVar[bool] = False
    fires: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", dict(self.params))

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload."""
        return (0, 1) if self.type in ("CUBA", "LOIHI") else (STATE_MIN, STATE_MAX)

    @property
    def num_message_bits(self) -> int:
        """``messageBits`` of its group; else lava-dl's own: 0 for spikes, 16."""
        if "messageBits" in self.params:
            return self.number("messageBits")
        return 0 if self.payload == (0, 1) else 16

    def number(self, key: str) -> int:
        """A number of its group; files hold it as a scalar or as (1,)."""
        return int(np.ravel(np.asarray(self.params[key]))[0])

    def bounds(self, a: Bounds, timesteps: int) -> tuple[Interval, Bounds]:
        """It follows its own rules: any payload, and no state that is checked here."""
        low, high = self.payload
        return (0, 0), (np.full(a[0].shape, low, np.int64), np.full(a[0].shape, high, np.int64))

    def words(self, timesteps: int) -> int:
        """Assumed."""
        return WORDS

    @property
    def text(self) -> str:
        """Its type."""
        return self.type
