"""Timing inside a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

__all__ = ["batches", "timed", "timed_batches"]


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


def timed_batches(call: Callable[[Any], Any], parts: Sequence[Any], passes: int) -> list[float]:
    """Seconds a sample: one call each where a part is one sample, else a pass over all."""
    if all(len(part) == 1 for part in parts):
        return [s for _ in range(passes) for p in parts for s in timed(partial(call, p), 1, 0)]
    count = sum(map(len, parts))
    times = timed(lambda: [call(part) for part in parts], passes, warmup=0)
    return [value / count for value in times]
