"""Real data to the integers that enter a network."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from netx_export.errors import DataError
from netx_export.exact_settings import exact_settings
from netx_export.spec import Input, NetworkSpec, limits, need_spec
from netx_export.spec.graded import says_no_bits

__all__ = ["as_array", "check_payload", "encode"]

AT_A_TIME = 1 << 22  # values that are float64 at one time

GRADED = (
    "a file of lava-dl does not say that more enters it; give its input_message_bits to read(), "
    "run_lava() or Network(); for a network of these blocks, begin with block.Input"
)


@exact_settings()
def encode(spec: NetworkSpec, data: np.ndarray) -> np.ndarray:
    """``z = clip(floor(gain * x + 1/2), low, levels)`` with the file's gain and levels.

    Parameters
    ----------
    spec : NetworkSpec
        Its input layer holds gain, levels and sign.
    data : ndarray
        (N, C, H, W) or (N, F), any number type; a trailing T axis is kept.

    Returns
    -------
    ndarray of int64
        Same shape.

    Raises
    ------
    DataError
        If the data is not finite numbers of the input's shape, or is graded where a file of
        lava-dl says nothing of that.
    """
    layer = need_spec(spec).input
    array = as_array(data)
    if array.dtype.kind not in "buif":
        raise DataError(f"samples must be numbers, got type {array.dtype}")
    check_shape(layer, array)
    low, high = layer.payload
    payloads = np.empty(array.shape, np.int64)
    step = max(1, AT_A_TIME // max(1, prod(array.shape[1:])))
    for start in range(0, len(array), step):
        part = array[start : start + step].astype(np.float64)
        if not np.all(np.isfinite(part)):
            raise DataError("samples must be finite, got NaN or infinity")
        if says_no_bits(spec) and not np.isin(part, (0, 1)).all():
            raise DataError(f"samples must be 0 or 1, got {part.min()}..{part.max()}; {GRADED}")
        with np.errstate(over="ignore"):  # beyond float64 is beyond every level
            payloads[start : start + step] = np.floor(part * layer.gain + 0.5).clip(low, high)
    return payloads


def as_array(values: Any) -> np.ndarray:
    """Samples as an array; a torch tensor without its gradient. DataError for what is none."""
    if np.ma.is_masked(values):
        raise DataError("samples must be whole, got a masked array; fill in what is masked")
    try:
        return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    except (TypeError, ValueError, RuntimeError):  # ragged lists, tensors of a GPU
        raise DataError(
            "samples must be one array of numbers, got lists of different lengths or what NumPy "
            "cannot read"
        ) from None


def check_shape(layer: Input, x: np.ndarray) -> bool:
    """DataError unless x is (N, *shape) or (N, *shape, T); returns whether T is there."""
    shape = layer.shape
    if x.shape[1 : 1 + len(shape)] != shape or x.ndim not in (len(shape) + 1, len(shape) + 2):
        raise DataError(
            f"samples must have shape (N, {', '.join(map(str, shape))}) "
            f"or that with a last axis T, got {x.shape}"
        )
    return x.ndim == len(shape) + 2


def check_payload(spec: NetworkSpec, x: np.ndarray) -> np.ndarray:
    """Integer samples as (N, *shape, T) int64; DataError if one is not a legal payload.

    A static sample is repeated in every timestep, which takes no memory: it is a view.
    """
    x = as_array(x)
    layer = spec.input
    timed = check_shape(layer, x)
    if x.dtype.kind not in "buif" or (x.dtype.kind == "f" and np.any(x != np.floor(x))):
        raise DataError("payloads must be whole numbers; encode() turns data into them")
    low, high = layer.payload
    if x.size and (x.min() < low or x.max() > high):
        raise DataError(
            f"payloads of the input lie in {low}..{high}, got {x.min()}..{x.max()}; "
            + (GRADED if says_no_bits(spec) else "encode() turns data into payloads")
        )
    steps = 1 if timed else spec.timesteps
    if x.size * steps * 8 > limits.memory():
        raise DataError(
            f"{len(x)} samples of T = {spec.timesteps} timesteps need {x.size * steps * 8 >> 30} "
            "GiB, more than this machine has; give fewer at a time"
        )
    x = x.astype(np.int64)
    if not timed:
        return x[..., None] if steps == 1 else np.broadcast_to(x[..., None], (*x.shape, steps))
    if x.shape[-1] != spec.timesteps:
        raise DataError(f"this network takes T = {spec.timesteps} timesteps, got {x.shape[-1]}")
    return x
