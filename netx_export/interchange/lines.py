"""One multiplier and one int32 bias per channel that give a neuron's integers exactly.

A quantised convolution rounds a line: ``round((n + bias) * scale)`` of the int32 sum n. The
neuron's staircase ``floor((unit * n + B) / vth)`` steps to k at ``n_k = ceil((k vth - B) /
unit)``. Both agree where the line passes k - 1/2 between n_k - 1 and n_k for every k, which
for a given bias bounds the scale from both sides.
"""

from __future__ import annotations

import numpy as np

__all__ = ["line", "steps_at"]


def steps_at(vth: np.ndarray, offset: np.ndarray, unit: int, levels: np.ndarray) -> np.ndarray:
    """The smallest sum n with which each level is reached, (C, K)."""
    need = levels[None] * vth[:, None] - offset[:, None]
    return -((-need) // unit)


def line(
    vth: np.ndarray, offset: np.ndarray, unit: int, levels: np.ndarray, shift: int = 0
) -> tuple[np.ndarray, np.ndarray] | None:
    """Scale (float32) and bias (int32) per channel, or None if a channel has none.

    Parameters
    ----------
    vth, offset : ndarray of int64, (C,)
        Threshold, and bias plus start value.
    unit : int
        What one step of the int32 sum is worth.
    levels : ndarray of int
        The levels k whose steps matter.
    shift : int
        The rounded value is ``k + shift``: levels below 0 need one, and a line that starts
        far away can be turned to meet almost any staircase.
    """
    steps = steps_at(vth, offset, unit, levels)
    middle = levels + shift - 0.5
    ideal = (offset + 0.5 + (shift - 0.5) * vth) / unit
    best = np.zeros(len(vth))
    bias = np.zeros(len(vth), np.int64)
    pitch = np.zeros(len(vth))
    for near in (-1, 0, 1, 2):
        candidate = np.floor(ideal).astype(np.int64) + near
        after = steps + candidate[:, None]
        ends = np.stack([(after - 1) / middle, after / middle])
        low, high = ends.min(0).max(1), ends.max(0).min(1)
        room = np.where(low > 0, high - low, -1.0)
        better = room > best
        best = np.where(better, room, best)
        bias = np.where(better, candidate, bias)
        pitch = np.where(better, (low + high) / 2, pitch)
    if (best <= 0).any():
        return None
    scale = (1.0 / pitch).astype(np.float32)
    # as the kernels compute it, in float32, on both sides of every step
    at, before = (
        np.rint((n + bias[:, None]).astype(np.float32) * scale[:, None]) for n in (steps, steps - 1)
    )
    if (at < levels + shift).any() or (before >= levels + shift).any():
        return None
    return scale, bias.astype(np.int32)
