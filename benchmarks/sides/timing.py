"""Timing inside a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["batches", "timed"]


def timed(call: Callable[[], Any], repeats: int, warmup: int = 3) -> list[float]:
    """Seconds of each of ``repeats`` calls, after ``warmup`` that are not counted."""
    for _ in range(warmup):
        call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def batches(count: int, size: int) -> list[slice]:
    """The slices of ``count`` samples, the last one shorter."""
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]
