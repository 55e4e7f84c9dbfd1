"""Checks that the dataclasses share."""

from __future__ import annotations

from typing import Any

import numpy as np

from netx_export.errors import FormatError, RangeError

__all__ = ["Shape", "check_shape", "integers"]

Shape = tuple[int, ...]


def integers(value: Any, ndim: int, name: str) -> np.ndarray:
    """The value as an int32 array, or a RangeError/FormatError that names it."""
    array = np.asarray(value)
    if array.ndim != ndim:
        raise FormatError(f"{name} must have {ndim} axes, got shape {array.shape}")
    if array.dtype.kind not in "iuf":
        raise FormatError(f"{name} must be numbers, got type {array.dtype}")
    if array.dtype.kind == "f":
        if not np.all(np.isfinite(array)):
            raise RangeError(f"{name} must be finite, got NaN or infinity")
        if np.any(array != np.rint(array)):
            raise RangeError(f"{name} must hold whole numbers, got {array.ravel()[0]!r} and others")
    if array.size and (array.max() > 2**31 - 1 or array.min() < -(2**31)):
        raise RangeError(f"{name} must fit 32 bits, got {array.min()}..{array.max()}")
    return array.astype(np.int32)


def check_shape(shape: Shape) -> None:
    """FormatError unless (F,) or (C, H, W), all positive."""
    if len(shape) not in (1, 3) or any(int(n) < 1 for n in shape):
        raise FormatError(f"shape must be (F,) or (C, H, W) with positive sizes, got {shape}")
