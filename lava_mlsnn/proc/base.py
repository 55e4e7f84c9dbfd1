"""What the Processes of this package share: argument checks with clear errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.process import AbstractProcess

from lava_mlsnn.checks import check_whole, shown
from lava_mlsnn.errors import ConfigError, RangeError
from netx_export.spec.limits import MAX_NEURONS
from netx_export.spec.widths import STATE_MAX, STATE_MIN

__all__ = [
    "CheckedProcess",
    "number_array",
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
        result = tuple(shape)
    except TypeError:
        raise ConfigError(
            f"shape must be a tuple of sizes such as (8, 8, 16), got {shown(shape)}"
        ) from None
    try:
        sizes = tuple(check_whole("a size", n, 1, MAX_NEURONS) for n in result)
    except ConfigError:
        sizes = ()
    if not sizes:
        raise ConfigError(f"shape must have positive sizes, got {shown(shape)}")
    return sizes


def number_array(name: str, value: Any) -> np.ndarray:
    """Return the value as an array of finite numbers, or raise an error that names it."""
    try:
        array = np.asarray(value)
    except Exception:  # ragged lists, tensors with a gradient or on a GPU
        raise ConfigError(
            f"{name} must be an array of numbers, got what NumPy cannot read"
        ) from None
    if array.dtype.kind not in "iuf":
        raise ConfigError(f"{name} must be numbers, got {shown(value)}")
    if not np.all(np.isfinite(array)):
        raise RangeError(f"{name} must be finite, got NaN or infinity")
    return array


def parameter(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return a neuron parameter that broadcasts over ``shape``.

    It is an array of shape (1,) (one value), (C,) (one per channel, the last
    axis as in Lava's (W, H, C)), or ``shape`` (one per neuron).
    """
    array = number_array(name, value)
    if array.ndim == 0:
        array = array.reshape(1)
    if array.shape not in ((1,), shape[-1:], shape):
        raise ConfigError(
            f"{name} must be one number, one per channel ({shape[-1]},) or one per neuron {shape}, "
            f"got shape {array.shape}"
        )
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
    if interval is not None:
        try:
            interval = check_whole("reset_interval", interval, 1, STATE_MAX)
        except ConfigError:
            raise ConfigError(
                f"reset_interval must be a whole number of timesteps, at least 1, or None for "
                f"never, got {shown(interval)}"
            ) from None
    return interval or 0, check_whole("reset_offset", offset, 0, STATE_MAX)
