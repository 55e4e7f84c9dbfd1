"""What a run produced, on every backend."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Trace"]


@dataclass
class Trace:
    """Payloads of one run, in the file's axis order.

    Attributes
    ----------
    output : ndarray, (N, C, H, W, T) or (N, F, T)
        Payload of the last layer in every timestep, the result is the last one: int64, or
        float64 from floating-point ProcessModels.
    layers : dict of str to ndarray
        The same of every traced layer.
    overflows : dict of str to int
        Values that left their width, per layer; only layers with any. In Lava timesteps
        while the network fills and empties count too.
    timesteps : int
        Timesteps that a simulator or chip ran; 0 for the runner.
    seconds : float
        Time of that run, without building and starting.
    delay : int
        Timesteps that a chip's result came later than the network's latency says.
    different : int
        Integers of a chip's result that differ from the integer runner's.
    """

    output: np.ndarray
    layers: dict[str, np.ndarray] = field(default_factory=dict)
    overflows: dict[str, int] = field(default_factory=dict)
    timesteps: int = 0
    seconds: float = 0.0
    delay: int = 0
    different: int = 0

    @property
    def classes(self) -> np.ndarray:
        """Index of the largest output at the last timestep, (N,)."""
        return self.output[..., -1].argmax(axis=1)
