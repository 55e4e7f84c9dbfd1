"""Events of a camera to frames.

An event (t, x, y, p) of a recording that lasts from ``start`` to ``stop`` falls into
frame ``floor((t - start) * T / (stop - start))``, the last instant into the last frame;
a frame counts the events of every pixel and polarity. So T = 1 is the sum of any finer
frames, no event is lost, and the order of the events does not matter. Counts above
``levels`` are cut only where ``levels`` is given.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lava_mlsnn.checks import check_number, check_whole, shown
from lava_mlsnn.errors import ConfigError, DataError

__all__ = ["bin_events"]

LARGEST = 1 << 30  # counts, 8 GiB
LATEST = 1e100  # a time in any unit


def bin_events(
    t: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    p: np.ndarray,
    *,
    shape: tuple[int, int],
    timesteps: int,
    levels: int | None = None,
    downsample: int = 1,
    span: tuple[float, float] | None = None,
) -> np.ndarray:
    """Count events into T frames.

    Parameters
    ----------
    t, x, y, p : ndarray, (E,)
        Time in any unit, column 0..W-1, row 0..H-1, polarity (false or 0: OFF).
    shape : (int, int)
        (H, W) of the sensor.
    timesteps : int
        T.
    levels : int, optional
        Largest count that is kept, the network's ``input_levels``.
    downsample : int
        Windows of k x k pixels are added up; H and W are rounded up.
    span : (float, float), optional
        ``start`` and ``stop``; default: of the first and last event.

    Returns
    -------
    ndarray of int64, (2, H', W', T)
        Counts of OFF and ON events.

    Raises
    ------
    ConfigError
        For a shape, T, levels, downsampling or span that cannot work.
    DataError
        For an event outside the sensor or the span, for what is no event, or for lists of
        different lengths.
    """
    timesteps = check_whole("timesteps", timesteps, 1, LARGEST)
    downsample = check_whole("downsample", downsample, 1, LARGEST)
    if levels is not None:
        levels = check_whole("levels", levels, 1, 2**62)
    shape = _pair("shape (H, W)", shape)
    for size in shape:
        check_whole("shape (H, W)", size, 1, LARGEST)
    t, x, y, p = (_numbers(n, a) for n, a in zip("txyp", (t, x, y, p), strict=True))
    if not (t.ndim == 1 and t.shape == x.shape == y.shape == p.shape):
        raise DataError(
            "events need t, x, y and p of one length each, got "
            f"{t.shape}, {x.shape}, {y.shape} and {p.shape}"
        )
    height, width = (-(-s // downsample) for s in shape)
    check_whole("counts 2 * H * W * timesteps", 2 * height * width * timesteps, 1, LARGEST)
    if span is not None:
        span = _pair("span (start, stop)", span)
        for time in span:
            check_number("span (start, stop)", time, -LATEST, LATEST)
        if not span[0] < span[1]:
            raise ConfigError(f"span must be (start, stop), start first, got {shown(span)}")
    if len(t) == 0:
        return np.zeros((2, height, width, timesteps), np.int64)
    start, stop = (float(t.min()), float(t.max())) if span is None else span
    for name, values, low, high in (
        ("x", x, 0, shape[1] - 1),
        ("y", y, 0, shape[0] - 1),
        ("t", t, start, stop),
        ("t", t, -LATEST, LATEST),
        ("p (> 0: ON; give p > 0 for -1 and 1)", p, 0, 1),
    ):
        if not (values.min() >= low and values.max() <= high):  # NaN lies nowhere
            raise DataError(
                f"{name} of events must lie in {low}..{high}, got {values.min()}..{values.max()}"
            )
    for name, values in (("x", x), ("y", y), ("p", p)):
        if values.dtype.kind == "f" and not np.array_equal(np.rint(values), values):
            raise DataError(f"{name} of events must be whole numbers, got fractions")
    duration = max(float(stop) - float(start), float(np.finfo(float).tiny))
    done = (t.astype(np.float64) - float(start)) * timesteps / duration
    frame = np.minimum(done.astype(np.int64), timesteps - 1)
    row, column = y.astype(np.int64) // downsample, x.astype(np.int64) // downsample
    place = (((p != 0) * height + row) * width + column) * timesteps + frame
    counts = np.bincount(place, minlength=2 * height * width * timesteps).astype(np.int64)
    frames = counts.reshape(2, height, width, timesteps)
    return frames if levels is None else np.minimum(frames, levels)


def _numbers(name: str, values: Any) -> np.ndarray:
    """An array of numbers; DataError for anything else."""
    try:
        array = np.asarray(values)
    except ValueError:  # lists in lists, of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} of events must be an array of numbers, got {shown(values)}")
    return array


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ConfigError(f"{name} must be two numbers, got {shown(value)}") from None
    return first, second
