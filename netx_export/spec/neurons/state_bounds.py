"""What the state of a multi-level neuron can reach over the timesteps of a sample.

With the input A = [al, ah] of one timestep, bias included::

    H_1 = V0 + A                       H_t = V_{t-1} + A
    V_t = hull of { h - vth * clip(h // vth, 0, N) : h in H_t }

On one level the map is h minus a constant. Where H_t spans levels kl < kh, the
integer just below a threshold is left with vth - 1 and the one on it with 0, hence

    V_t = [min(0, hl - vth * kl), max(vth - 1, hh - vth * kh)].

That hull is exact for one neuron whose input takes every whole number in A; sums
that depend on each other (two arms of a residual) make it wider than what can
happen, never narrower.

The T timesteps are taken in runs. Below the threshold, above N * vth, and where V_t
holds all of 0 .. vth - 1, both ends move by a constant until they stop, so that any
number of timesteps is one step of the program. A narrow interval that turns around
inside one threshold is followed for :data:`TURNS` steps and then widened to
0 .. vth - 1. Numbers beyond :data:`FAR` stand for anything that large. Ours.
"""

from __future__ import annotations

import numpy as np

from netx_export.spec.intervals import FAR, Bounds, Interval, hull, join

__all__ = ["TURNS", "state_bounds"]

TURNS = 256


def state_bounds(
    vth: np.ndarray, v0: np.ndarray, levels: int, a: Bounds, timesteps: int
) -> tuple[Interval, Bounds]:
    """Hull of H over all timesteps, and payload bounds per channel; see the module.

    Parameters
    ----------
    vth, v0 : ndarray of int, (C,) or (1,)
        Thresholds and states at the start of a sample.
    levels : int
        N.
    a : (ndarray, ndarray)
        Lowest and highest input of one timestep per channel, bias included.
    timesteps : int
        T.
    """
    size = a[0].shape
    theta = np.broadcast_to(vth, size).astype(np.int64)
    start = np.broadcast_to(v0, size).astype(np.int64)
    z_low, z_high = np.full(size, levels, np.int64), np.zeros(size, np.int64)
    state: Interval | None = None
    going = np.arange(size[0])  # the channels that still move
    ends, left, turns = (start, start), np.full(size, timesteps), 0
    while going.size:
        inputs = a[0][going], a[1][going]
        if turns == TURNS:
            ends = np.minimum(ends[0], 0), np.maximum(ends[1], theta[going] - 1)
        many = np.minimum(_run_length(ends, inputs, theta[going], levels), left)
        many = np.maximum(many, 1)
        last, after = _after(ends, inputs, theta[going], levels, many)
        # both ends move one way in a run, so its first and its last timestep are the extremes
        for low, high in (ends, last):
            h = low + inputs[0], high + inputs[1]
            k_low, k_high = ((x // theta[going]).clip(0, levels) for x in h)
            state = join(state, hull(h))
            z_low[going] = np.minimum(z_low[going], k_low)
            z_high[going] = np.maximum(z_high[going], k_high)
        left = left - many
        moving = (left > 0) & ((after[0] != ends[0]) | (after[1] != ends[1]))
        going, left = going[moving], left[moving]
        ends, turns = (after[0][moving], after[1][moving]), turns + 1
    assert state is not None
    return state, (z_low, z_high)


def _run_length(ends: Bounds, a: Bounds, theta: np.ndarray, levels: int) -> np.ndarray:
    """For how many timesteps both ends follow :func:`_after`; FAR: for ever."""
    (low, high), (a_low, a_high), top = ends, a, levels * theta
    h_low, h_high = low + a_low, high + a_high
    below = np.where(a_high > 0, (theta - 1 - high) // np.maximum(a_high, 1), FAR)
    falls = np.maximum(top - a_low, 1)
    above = np.where(a_low < top, (h_low - top) // falls + 1, FAR)
    until_below = (h_high - theta) // np.maximum(top - a_high, 1) + 1
    until_above = (top - low - 1) // np.maximum(a_low, 1)
    across = np.where(a_high > 0, FAR, until_below)
    across = np.where(a_low < top, across, np.minimum(across, until_above))
    wide = (low <= 0) & (high >= theta - 1)
    return np.select([h_high < theta, h_low >= top, wide & ~_one(h_low, h_high, theta, levels)],
                     [below, above, across], 1)  # fmt: skip


def _one(h_low: np.ndarray, h_high: np.ndarray, theta: np.ndarray, levels: int) -> np.ndarray:
    """Whether both ends send the same payload."""
    return (h_low // theta).clip(0, levels) == (h_high // theta).clip(0, levels)


def _after(
    ends: Bounds, a: Bounds, theta: np.ndarray, levels: int, many: np.ndarray
) -> tuple[Bounds, Bounds]:
    """V before the last of ``many`` timesteps of a run, and after it."""
    (low, high), (a_low, a_high) = ends, a
    h_low, h_high = low + a_low, high + a_high
    one, sent = _one(h_low, h_high, theta, levels), (h_low // theta).clip(0, levels) * theta
    found = []
    for n in (many - 1, many):
        found.append(
            (
                np.where(one, low + n * (a_low - sent), np.minimum(low + n * a_low, 0)),
                np.where(
                    one,
                    high + n * (a_high - sent),
                    np.maximum(high + n * (a_high - levels * theta), theta - 1),
                ),
            )
        )
    before = tuple(np.where(many == 1, x, y) for x, y in zip(ends, found[0], strict=True))
    return (before[0], before[1]), found[1]
