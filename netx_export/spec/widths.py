"""Integer widths of Loihi 2 and what happens at their ends.

The numbers are stated once, here. Sources: Lava's fixed-point ProcessModels and
``lava.utils.weightutils``; ``docs/neuron.md`` lists them.
"""

from __future__ import annotations

import numpy as np

from netx_export.errors import ConfigError, RangeError

__all__ = [
    "DELAY_MAX",
    "OVERFLOWS",
    "STATE_MAX",
    "STATE_MIN",
    "check_weights",
    "fit_state",
    "shift",
    "wrap24",
]

STATE_MIN = -(1 << 23)  # 24-bit signed state and accumulator
STATE_MAX = (1 << 23) - 1
DELAY_MAX = 62  # 6-bit axonal delay; lava-dl clamps at 62, so 63 stays unused
OVERFLOWS = ("wrap", "saturate")


def wrap24(x: np.ndarray) -> np.ndarray:
    """Two's complement of an int64 array in 24 bits (same dtype)."""
    return ((x + (1 << 23)) & ((1 << 24) - 1)) - (1 << 23)


def fit_state(x: np.ndarray, overflow: str = "wrap") -> tuple[np.ndarray, int]:
    """Bring an int64 array into 24 bits; also return how many values did not fit."""
    outside = int(np.count_nonzero((x < STATE_MIN) | (x > STATE_MAX)))
    if not outside:
        return x, 0
    if overflow == "wrap":
        return wrap24(x), outside
    if overflow == "saturate":
        return x.clip(STATE_MIN, STATE_MAX), outside
    raise ConfigError(f"overflow must be one of {OVERFLOWS}, got {overflow!r}")


def shift(x: np.ndarray, exponent: int) -> np.ndarray:
    """``floor(x * 2**exponent)`` on integers: left shift, or arithmetic right shift."""
    return x << exponent if exponent >= 0 else x >> -exponent


def check_weights(weight: np.ndarray) -> None:
    """Raise RangeError unless the integers fit one 8-bit synapse group.

    One sign: -255..0 or 0..255. Mixed sign: -128..127, or even numbers in
    -256..254 (Loihi stores an 8-bit mantissa; with both signs the lowest bit of
    the 9-bit value is lost, so odd values need the smaller range).
    """
    if weight.size == 0:
        raise RangeError("a synapse needs at least one weight, got none")
    low, high = int(weight.min()), int(weight.max())
    if (low >= 0 and high <= 255) or (high <= 0 and low >= -255):
        return
    if low >= -128 and high <= 127:
        return
    if low < -256 or high > 254:
        raise RangeError(
            f"8-bit weights of mixed sign lie in -256..254 (one sign: up to 255), got {low}..{high}"
        )
    if np.any(weight & 1):
        raise RangeError(
            "8-bit weights of mixed sign beyond -128..127 must be even, "
            f"got {int(weight[(weight & 1) == 1].ravel()[0])} among {low}..{high}"
        )
