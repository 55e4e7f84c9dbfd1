"""Checks that the dataclasses share."""

from __future__ import annotations

from math import prod
from numbers import Integral, Real
from typing import Any

import numpy as np

from netx_export.errors import ConfigError, FormatError, MLSNNError, RangeError, said
from netx_export.spec.limits import MAX_NEURONS, MAX_TIMESTEPS

__all__ = [
    "Shape",
    "check_shape",
    "check_timesteps",
    "flag",
    "frozen",
    "integers",
    "numbers",
    "positive",
    "source_index",
    "whole",
]

Shape = tuple[int, ...]


def frozen(array: np.ndarray, dtype: type[np.number]) -> np.ndarray:
    """A contiguous copy that nobody can write to: what was checked stays as it was."""
    copy = np.array(array, dtype, order="C")
    copy.setflags(write=False)
    return copy


def numbers(value: Any, ndim: int, name: str) -> np.ndarray:
    """The value as an array of finite numbers with ``ndim`` axes."""
    try:
        array = np.asarray(value)
    except Exception as error:  # ragged lists, tensors with a gradient or on a GPU
        raise FormatError(f"{name} must be an array of numbers ({said(error)})") from None
    if array.ndim != ndim:
        raise FormatError(f"{name} must have {ndim} axes, got shape {array.shape}")
    if array.dtype.kind not in "iuf":
        raise FormatError(f"{name} must be numbers, got type {array.dtype}")
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise RangeError(f"{name} must be finite, got NaN or infinity")
    return array


def integers(value: Any, ndim: int, name: str) -> np.ndarray:
    """The value as a frozen int32 array, or a RangeError/FormatError that names it."""
    array = numbers(value, ndim, name)
    if array.dtype.kind == "f" and np.any(array != np.rint(array)):
        bad = array[array != np.rint(array)].ravel()[0]
        raise RangeError(f"{name} must hold whole numbers, got {bad}")
    if array.size and (array.max() > 2**31 - 1 or array.min() < -(2**31)):
        raise RangeError(f"{name} must fit 32 bits, got {array.min()}..{array.max()}")
    return frozen(array, np.int32)


def whole(value: Any, name: str, low: int, high: int) -> int:
    """The value as an int, if it is a whole number in ``low..high``; True is none."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise FormatError(f"{name} must be a whole number, got {_shown(value)}")
    if not low <= int(value) <= high:
        raise RangeError(f"{name} must lie in {low}..{high}, got {_shown(value)}")
    return int(value)


def check_timesteps(value: Any) -> int:
    """T of one sample as an int, where it is an argument; ConfigError for another value."""
    try:
        return whole(value, "timesteps", 1, MAX_TIMESTEPS)
    except (FormatError, RangeError) as error:
        raise ConfigError(error.message) from None


def source_index(value: Any) -> int:
    """A layer's index as an int; whether there is such a layer the network knows."""
    return whole(value, "a source", -(1 << 31), 1 << 31)


def flag(value: Any, name: str) -> bool:
    """The value as a bool, if it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise FormatError(f"{name} must be True or False, got {_shown(value)}")
    return bool(value)


def positive(value: Any, name: str) -> float:
    """The value as a float, if it is a finite positive number."""
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or not 0 < value < float("inf"):
        raise RangeError(f"{name} must be a positive number, got {_shown(value)}")
    return float(value)


def check_shape(value: Any, error: type[MLSNNError] = FormatError) -> Shape:
    """The value as (F,) or (C, H, W), all positive; else ``error``."""
    try:
        sizes = tuple(whole(n, "a size", 1, MAX_NEURONS) for n in value)
    except (TypeError, FormatError, RangeError):
        sizes = ()
    if len(sizes) not in (1, 3):
        raise error(f"shape must be (F,) or (C, H, W) with positive sizes, got {_shown(value)}")
    if prod(sizes) > MAX_NEURONS:
        raise error(f"a layer can have {MAX_NEURONS} neurons at most, got shape {sizes}")
    return sizes


def _shown(value: Any) -> str:
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python does not print integers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
