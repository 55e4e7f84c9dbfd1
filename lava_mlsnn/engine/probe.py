"""Which 8-bit operators are exact on this machine.

Processors without dot-product instructions add pairs in 16 bits, which saturates, or
halve the weights first; other versions of torch lack an operator or call it out of
date. So each is run once on numbers at the ends of their ranges and on thresholds
that a sum just reaches or just misses, and the first that is exact is taken.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable

import numpy as np
import torch

from lava_mlsnn.engine.int8 import BACKENDS, pack_sum, pack_threshold
from lava_mlsnn.engine.payload import plain
from lava_mlsnn.engine.weights import Arm
from netx_export.exact_settings import exact_settings

__all__ = ["backend", "sums_exact"]

LEVELS = 15
VTH = 20_000  # the largest round number for which the probe's sums stay separate
SHAPES = ((3, 3), (48, 3), (70, 1))  # input channels, kernel size
LOCK = threading.Lock()  # warnings are turned into errors meanwhile, for the process


def _extremes(inner: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Payloads (2, inner, 6, 6) and weights (40, inner, size, size), odd ones included."""
    rng = np.random.default_rng(inner)
    x = rng.choice(np.array([0, 1, 127, 254, 255]), (2, inner, 6, 6))
    weight = rng.choice(np.array([-128, -127, -1, 1, 126, 127]), (40, inner, size, size))
    x[0, :, :2] = 255  # whole windows at the end of the range, of one sign
    weight[0], weight[1] = 127, -128
    return x, weight.astype(np.int8)


def _sums(x: np.ndarray, weight: np.ndarray, pad: int) -> np.ndarray:
    wide = torch.nn.functional.conv2d(
        torch.from_numpy(x).double(), torch.from_numpy(weight).double(), padding=pad
    )
    exact: np.ndarray = wide.numpy().astype(np.int64)
    return exact


def _bytes(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x.astype(np.uint8)).contiguous(memory_format=torch.channels_last)


def _arm(weight: np.ndarray, pad: int) -> Arm:
    return Arm(0, weight, 0, (1, 1), (pad, pad), (1, 1), 1)


def _thresholds_exact(name: str) -> bool:
    for inner, size in SHAPES:
        x, weight = _extremes(inner, size)
        sums = _sums(x, weight, size // 2)
        channel = np.arange(len(weight))
        vth = np.full(len(weight), VTH, np.int64)
        flat = sums.transpose(1, 0, 2, 3).reshape(len(weight), -1)
        some = flat[channel, np.abs(flat).argmin(1)]
        bias = vth * (1 + channel % LEVELS) - some - channel % 2
        bias[:2] = 0  # only the ends of the range: no small sums there
        h = sums + bias[:, None, None]
        step = h // vth[:, None, None]
        shortcut = np.random.default_rng(0).integers(0, LEVELS + 1, sums.shape)
        fire = pack_threshold(_arm(weight, size // 2), weight, 1, vth, bias, LEVELS, name)
        alone = plain(fire(_bytes(x))).numpy()
        added = plain(fire(_bytes(x), _bytes(shortcut))).numpy()
        if not np.array_equal(alone, step.clip(0, LEVELS)):
            return False
        if not np.array_equal(added, (step + shortcut).clip(0, LEVELS)):
            return False
    return True


@functools.cache
def backend() -> str:
    """The first of :data:`~lava_mlsnn.engine.int8.BACKENDS` that is exact here; "" if none."""
    return next((name for name in BACKENDS if _holds(_thresholds_exact, name)), "")


@functools.cache
def sums_exact() -> bool:
    """Whether :func:`~lava_mlsnn.engine.int8.pack_sum` exists and is exact here."""
    return _holds(_sums_exact)


def _sums_exact() -> bool:
    for inner, size in SHAPES:
        x, weight = _extremes(inner, size)
        sums = _sums(x, weight, size // 2)
        before = 2 * np.random.default_rng(0).integers(-(1 << 16), 1 << 16, sums.shape)
        total = torch.from_numpy(before).float().contiguous(memory_format=torch.channels_last)
        pack_sum(_arm(weight, size // 2), weight, 2)(_bytes(x), total)
        if not np.array_equal(total.numpy(), before + 2 * sums):
            return False
    return True


def _holds(exact: Callable[..., bool], *arguments: str) -> bool:
    """Whether a probe succeeds without an error, and without a word of torch."""
    with LOCK, exact_settings(), torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("error")  # a torch that is about to drop it
        try:
            return exact(*arguments)
        except Exception:  # whatever another torch says
            return False
