"""Intervals: what sums can reach, per channel or as one hull."""

from __future__ import annotations

import itertools

import numpy as np

__all__ = ["FAR", "Bounds", "Interval", "hull", "join", "matrix_bounds", "near", "with_zero"]

Interval = tuple[int, int]
Bounds = tuple[np.ndarray, np.ndarray]  # lowest and highest per channel, int64

FAR = 1 << 40  # past any width, and times T still inside int64
CHUNK = 1 << 19  # weights turned to floats at a time: they stay in the cache


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
    """Interval of ``weight @ s`` for s in low..high; float64 is exact below 2**53.

    Parameters
    ----------
    weight : ndarray of int, (G, rows, columns)
        One matrix a group.
    low, high : ndarray of int64, (G, columns)
        What is summed.

    Returns
    -------
    low, high : ndarray of int64, (G * rows,)
    """
    groups, rows, columns = weight.shape
    ends = np.stack([low, high], axis=2)
    far = int(np.abs(ends).max()) * max(int(weight.max()), -int(weight.min()))
    kind = np.float32 if far * columns < 1 << 24 else np.float64  # exact below
    ends = ends.astype(kind)
    few = max(1, CHUNK // (rows * columns))
    some = max(1, CHUNK // columns)
    found = np.empty((2, groups, rows))
    for g, r in itertools.product(range(0, groups, few), range(0, rows, some)):
        here, part = ends[g : g + few], weight[g : g + few, r : r + some].astype(kind)
        both = part @ here
        down = np.minimum(part, 0, out=part) @ here
        up = both - down
        found[0, g : g + few, r : r + some] = up[:, :, 0] + down[:, :, 1]
        found[1, g : g + few, r : r + some] = up[:, :, 1] + down[:, :, 0]
    return near(found[0].ravel()), near(found[1].ravel())


def near(values: np.ndarray) -> np.ndarray:
    """The values as int64, none beyond :data:`FAR`, which stands for anything that large."""
    return values.clip(-FAR, FAR).astype(np.int64)
