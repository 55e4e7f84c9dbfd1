"""Events of a camera to frames.

An event (t, x, y, p) of a recording that lasts from ``start`` to ``stop`` falls into
frame ``floor((t - start) * T / (stop - start))``, the last instant into the last frame;
a frame counts the events of every pixel and polarity. So T = 1 is the sum of any finer
frames, no event is lost, and the order of the events does not matter. Counts above
``levels`` are cut only where ``levels`` is given.
"""

from __future__ import annotations

import numpy as np

from lava_mlsnn.errors import ConfigError, DataError

__all__ = ["bin_events"]


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
        For a T or downsampling below 1.
    DataError
        For an event outside the sensor or the span, or lists of different lengths.
    """
    if timesteps < 1 or downsample < 1:
        raise ConfigError(
            f"timesteps and downsample must be at least 1, got {timesteps} and {downsample}"
        )
    t, x, y, p = (np.asarray(a) for a in (t, x, y, p))
    if not (t.ndim == 1 and t.shape == x.shape == y.shape == p.shape):
        raise DataError(
            "events need t, x, y and p of one length each, got "
            f"{t.shape}, {x.shape}, {y.shape} and {p.shape}"
        )
    height, width = (-(-s // downsample) for s in shape)
    if len(t) == 0:
        return np.zeros((2, height, width, timesteps), np.int64)
    start, stop = (float(t.min()), float(t.max())) if span is None else span
    for name, values, low, high in (
        ("x", x, 0, shape[1] - 1),
        ("y", y, 0, shape[0] - 1),
        ("t", t, start, stop),
    ):
        if values.min() < low or values.max() > high:
            raise DataError(
                f"{name} of events must lie in {low}..{high}, got {values.min()}..{values.max()}"
            )
    duration = max(float(stop) - float(start), float(np.finfo(float).tiny))
    done = (t.astype(np.float64) - float(start)) * timesteps / duration
    frame = np.minimum(done.astype(np.int64), timesteps - 1)
    row, column = y.astype(np.int64) // downsample, x.astype(np.int64) // downsample
    place = (((p != 0) * height + row) * width + column) * timesteps + frame
    counts = np.bincount(place, minlength=2 * height * width * timesteps).astype(np.int64)
    frames = counts.reshape(2, height, width, timesteps)
    return frames if levels is None else np.minimum(frames, levels)
