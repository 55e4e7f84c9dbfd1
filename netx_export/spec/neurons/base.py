"""What every neuron answers; a kind that lacks an answer is refused where it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from netx_export.errors import UnsupportedLayerError
from netx_export.spec.intervals import Bounds, Interval
from netx_export.spec.kernels import Pair

__all__ = ["Neuron", "per_channel"]


def per_channel(values: np.ndarray, axes: int) -> np.ndarray:
    """Per-channel values as int64 that broadcast over ``axes`` axes, channels first."""
    return values.astype(np.int64).reshape((-1,) + (1,) * (axes - 1))


@dataclass(frozen=True, eq=False)
class Neuron:
    """Base of the neurons.

    Attributes
    ----------
    exact : bool
        Whether its integers are defined here; else only Lava runs it.
    since : int
        The first version of the file format that has it.
    """

    exact: ClassVar[bool] = True
    since: ClassVar[int] = 1

    def _lacks(self, what: str) -> UnsupportedLayerError:
        return UnsupportedLayerError(f"{self.text} neurons have no {what}")

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload."""
        raise self._lacks("payload range")

    @property
    def num_message_bits(self) -> int:
        """Width of the payload: 0 (binary), 8, 16 or 24 bits."""
        raise self._lacks("message width")

    @property
    def fires(self) -> bool:
        """Whether it sends spikes: nothing while it stays below its threshold."""
        raise self._lacks("spikes or sums to tell apart")

    @property
    def spike_levels(self) -> int:
        """N, the largest graded spike; 0 for a neuron that passes its sum on."""
        raise self._lacks("levels")

    @property
    def parameters(self) -> int:
        """Numbers that it stores, apart from the bias."""
        raise self._lacks("parameters")

    def start(self, axes: int) -> np.ndarray:
        """State at the start of a sample, int64 that broadcasts over (C, ...) of ``axes`` axes."""
        raise self._lacks("initial state")

    def step(
        self, v: np.ndarray, a: np.ndarray, axes: int, overflow: str = "wrap"
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """One timestep: payload, new state, and how many values left their width.

        Parameters
        ----------
        v, a : ndarray of int64, (..., C, H, W) or (..., F)
            State, and input with the bias.
        axes : int
            3 or 1: axes of the layer's shape.
        overflow : {"wrap", "saturate"}
            What a state beyond 24 bits becomes.
        """
        raise self._lacks("exact step")

    def bounds(self, a: Bounds, timesteps: int) -> tuple[Interval, Bounds]:
        """Hull of the state before the spike over T timesteps, and payload bounds per channel.

        ``a`` bounds the input of one timestep per channel, bias included.
        """
        raise self._lacks("bounds")

    def words(self, timesteps: int) -> int:
        """24-bit words that one neuron keeps on a neuro-core, sums that wait aside."""
        raise self._lacks("size on a neuro-core")

    def check_channels(self, channels: int) -> None:
        """FormatError unless its values are one, or one per channel."""

    @property
    def text(self) -> str:
        """Its name in tables and messages."""
        return type(self).__name__
