"""What the Processes of this package share: argument checks with clear errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.process import AbstractProcess

from lava_mlsnn.errors import ConfigError, RangeError
from netx_export.spec.widths import STATE_MAX, STATE_MIN

__all__ = [
    "CheckedProcess",
    "parameter",
    "positive_shape",
    "require_state",
    "require_whole",
    "reset_schedule",
]


class CheckedProcess(AbstractProcess):
    """A Process that checks its numbers before any operating-system process starts.

    The constructor cannot know whether a floating or a fixed-point ProcessModel
    will run; the compiler tells it later by assigning ``_model_class``.
    """

    # AbstractProcess.__del__ calls stop(), which reads this even when __init__
    # has raised; without it every argument error prints a second traceback.
    _runtime = None

    def check_fixed(self) -> None:
        """Raise a project error unless a ``fixed_pt`` model can run these numbers."""

    @property
    def _model_class(self) -> Any:
        return self.__dict__.get("_chosen_model")

    @_model_class.setter
    def _model_class(self, model: Any) -> None:
        # An error inside a ProcessModel would only show up in its own
        # operating-system process, and stock Lava then leaves the others waiting.
        self.__dict__["_chosen_model"] = model
        if model is not None and "fixed_pt" in getattr(model, "tags", ()):
            self.check_fixed()


def positive_shape(shape: Any) -> tuple[int, ...]:
    """Return the shape as a tuple of positive ints, or raise ConfigError."""
    try:
        result = tuple(int(n) for n in shape)
    except (TypeError, ValueError):
        raise ConfigError(
            f"shape must be a tuple of sizes such as (8, 8, 16), got {shape!r}"
        ) from None
    if not result or min(result) < 1:
        raise ConfigError(f"shape must have positive sizes, got {result}")
    return result


def parameter(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return a neuron parameter that broadcasts over ``shape``.

    It is an array of shape (1,) (one value), (C,) (one per channel, the last
    axis as in Lava's (W, H, C)), or ``shape`` (one per neuron).
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ConfigError(f"{name} must be numbers, got {value!r}")
    if array.ndim == 0:
        array = array.reshape(1)
    if array.shape not in ((1,), shape[-1:], shape):
        raise ConfigError(
            f"{name} must be one number, one per channel ({shape[-1]},) or one per neuron {shape}, "
            f"got shape {array.shape}"
        )
    if not np.all(np.isfinite(array)):
        raise RangeError(f"{name} must be finite, got NaN or infinity")
    return array


def require_whole(name: str, array: np.ndarray) -> None:
    """Raise RangeError unless every number is whole: a fixed-point model would truncate it."""
    if array.dtype.kind == "f" and np.any(array != np.rint(array)):
        bad = array[array != np.rint(array)].ravel()[0]
        raise RangeError(f"{name} must hold whole numbers for a fixed_pt model, got {bad!r}")


def require_state(name: str, array: np.ndarray, low: int = STATE_MIN) -> None:
    """Raise RangeError unless every number fits the 24-bit signed state and reaches ``low``."""
    if array.min() < low or array.max() > STATE_MAX:
        raise RangeError(f"{name} must lie in {low}..{STATE_MAX}, got {array.min()}..{array.max()}")


def reset_schedule(interval: int | None, offset: int) -> tuple[int, int]:
    """Return the checked (interval, offset) of the sample reset; interval 0 stands for never."""
    if interval is not None and (not isinstance(interval, int | np.integer) or interval < 1):
        raise ConfigError(
            f"reset_interval must be a whole number of timesteps, at least 1, or None for never, "
            f"got {interval!r}"
        )
    if not isinstance(offset, int | np.integer) or offset < 0:
        raise ConfigError(f"reset_offset must be a whole number of at least 0, got {offset!r}")
    return int(interval or 0), int(offset)
