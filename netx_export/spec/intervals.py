"""Intervals: what sums can reach, per channel or as one hull."""

from __future__ import annotations

import numpy as np

__all__ = ["FAR", "Bounds", "Interval", "hull", "join", "matrix_bounds", "near", "with_zero"]

Interval = tuple[int, int]
Bounds = tuple[np.ndarray, np.ndarray]  # lowest and highest per channel, int64

FAR = 1 << 40  # past any width, and times T still inside int64
CHUNK = 1 << 22  # weights turned to float64 at a time


def hull(bounds: Bounds) -> Interval:
    """The interval that holds all channels."""
    return int(bounds[0].min()), int(bounds[1].max())


def join(a: Interval | None, b: Interval) -> Interval:
    """The interval that holds both."""
    return b if a is None else (min(a[0], b[0]), max(a[1], b[1]))


def with_zero(bounds: Bounds) -> Bounds:
    """Widened by what a silent source sends."""
    return np.minimum(bounds[0], 0), np.maximum(bounds[1], 0)


def matrix_bounds(weight: np.ndarray, low: np.ndarray, high: np.ndarray) -> Bounds:
    """Interval of ``weight @ s`` for s in low..high; float64 is exact below 2**53."""
    lows, highs = [], []
    rows = max(1, CHUNK // weight.shape[1])
    ends = np.stack([low, high], axis=1).astype(np.float64)
    for start in range(0, weight.shape[0], rows):
        part = weight[start : start + rows].astype(np.float64)
        up, down = np.maximum(part, 0) @ ends, np.minimum(part, 0) @ ends
        lows.append(up[:, 0] + down[:, 1])
        highs.append(up[:, 1] + down[:, 0])
    return near(np.concatenate(lows)), near(np.concatenate(highs))


def near(values: np.ndarray) -> np.ndarray:
    """The values as int64, none beyond :data:`FAR`, which stands for anything that large."""
    return values.clip(-FAR, FAR).astype(np.int64)
