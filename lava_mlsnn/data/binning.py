"""Events of a camera to frames.

An event (t, x, y, p) of a recording that lasts from ``start`` to ``stop`` falls into
frame ``floor((t - start) * T / (stop - start))``, the last instant into the last frame;
a frame counts the events of every pixel and polarity. So T = 1 is the sum of any finer
frames, no event is lost, and the order of the events does not matter. Counts above
``levels`` are cut only where ``levels`` is given.

Whole numbers, such as nanoseconds since 1970, are subtracted and divided as integers: a
float64 holds no differences below 256 at 1.7e18. A clock that wraps around must be unwrapped
before: where the order of events does not matter, a wrap cannot be seen.
"""

from __future__ import annotations

import math
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
        Time in any unit, column 0..W-1, row 0..H-1, polarity (false or 0: OFF). Times may
        be integers of any width, exact, or floating.
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
        For an event outside the sensor or the span, for what is no event, for lists of
        different lengths, or for floating times too coarse to tell the frames apart.
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
        span = (_exact(span[0]), _exact(span[1]))
        if not span[0] < span[1]:
            raise ConfigError(f"span must be (start, stop), start first, got {shown(span)}")
    if len(t) == 0:
        return np.zeros((2, height, width, timesteps), np.int64)
    start, stop = (_exact(t.min()), _exact(t.max())) if span is None else span
    for name, values, low, high in (
        ("x", x, 0, shape[1] - 1),
        ("y", y, 0, shape[0] - 1),
        ("t", t, start, stop),
        ("t", t, -LATEST, LATEST),
        ("p (> 0: ON; give p > 0 for -1 and 1)", p, 0, 1),
    ):
        least, most = _exact(values.min()), _exact(values.max())
        if not (least >= low and most <= high):  # NaN lies nowhere
            raise DataError(f"{name} of events must lie in {low}..{high}, got {least}..{most}")
    for name, values in (("x", x), ("y", y), ("p", p)):
        if values.dtype.kind == "f" and not np.array_equal(np.rint(values), values):
            raise DataError(f"{name} of events must be whole numbers, got fractions")
    frame = _frame(t, start, stop, timesteps)
    row, column = y.astype(np.int64) // downsample, x.astype(np.int64) // downsample
    place = (((p != 0) * height + row) * width + column) * timesteps + frame
    counts = np.bincount(place, minlength=2 * height * width * timesteps).astype(np.int64)
    frames = counts.reshape(2, height, width, timesteps)
    return frames if levels is None else np.minimum(frames, levels)


def _frame(t: np.ndarray, start: Any, stop: Any, timesteps: int) -> np.ndarray:
    """The frame of each time: exact for integers, and for whole floats below 2**53."""
    if timesteps == 1 or stop == start:
        return np.zeros(len(t), np.int64)
    if t.dtype.kind == "f":
        step = float(np.spacing(np.abs(t).max()))
        if step * timesteps > stop - start:
            raise DataError(
                f"t of events, {t.dtype} up to {t.max():g}, moves in steps of {step:g}, too coarse "
                f"for {timesteps} frames of {(stop - start) / timesteps:g}; give whole numbers, or "
                "times since the start"
            )
        if step <= 1 and np.array_equal(np.rint(t), t):
            t = t.astype(np.int64)
    duration = stop - start
    whole_numbers = isinstance(start, int) and isinstance(stop, int) and duration < 1 << 64
    if t.dtype.kind == "f" or not whole_numbers:
        if t.dtype.kind == "f" or abs(start) >= 1 << 63:
            since = t.astype(np.float64) - start
        else:  # a span with a fraction: what lies before the point is exact
            since = _since(t, math.floor(start)) - (start - math.floor(start))
        return np.clip(since * timesteps / duration, 0, timesteps - 1).astype(np.int64)
    # frame k starts at the first whole number from k * duration / T on; all below 2**64
    whole, rest = divmod(duration, timesteps)
    k = np.arange(timesteps, dtype=np.uint64)
    starts = k * np.uint64(whole) + (k * np.uint64(rest) + np.uint64(timesteps - 1)) // np.uint64(
        timesteps
    )
    found: np.ndarray = starts.searchsorted(_since(t, start), side="right")
    return found - 1


def _since(t: np.ndarray, start: int) -> np.ndarray:
    """``t - start`` of integers as uint64: modulo 2**64, so that no difference overflows."""
    return t.astype(np.uint64) - np.uint64(start % (1 << 64))


def _exact(value: Any) -> Any:
    """A number as Python's, an int where it is whole: those compare exactly."""
    number = value.item() if isinstance(value, np.generic) else value
    return int(number) if abs(number) < math.inf and number == int(number) else float(number)


def _numbers(name: str, values: Any) -> np.ndarray:
    """An array of numbers; DataError for anything else."""
    try:
        array = np.asarray(None if np.ma.is_masked(values) else values)
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
