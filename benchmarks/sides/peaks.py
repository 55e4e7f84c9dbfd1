"""What this machine can do at most, and what a network asks of it."""

from __future__ import annotations

import ctypes
import math
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides.native import compiled, pointer

__all__ = ["TYPES", "peaks", "work"]

TYPES = ("int8", "bfloat16", "float32")
ROUNDS = 1 << 22  # of a chain: about 10 ms
PASSES = 7
MEMORY = 1 << 28  # bytes, beyond every cache


def peaks(threads: int, weights: int) -> dict:
    """Multiplications a second of each number type, and bytes a second that can be read.

    Parameters
    ----------
    threads : int
        So many at once.
    weights : int
        Bytes that are read again and again: those of a network, which a cache may hold.
    """
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(threads) as pool:
        library = compiled("peaks.c", Path(folder))
        library.reading.restype = ctypes.c_int64
        for name in TYPES:
            room = [np.zeros(1024, np.float32) for _ in range(threads)]
            function = getattr(library, name)

            def chain(k: int, call: Any = function, room: Any = room) -> int:
                return int(call(ctypes.c_int64(ROUNDS), pointer(room[k])))

            found[name] = _rate(pool, threads, chain, ROUNDS)
        for name, size in (("memory", MEMORY), ("weights", weights)):
            words = size // 8 // threads // 32 * 32
            parts = [np.ones(words, np.int64) for _ in range(threads)]
            again = max(1, MEMORY // size)

            def read(k: int, parts: Any = parts, words: int = words, again: int = again) -> int:
                for _ in range(again):
                    library.reading(pointer(parts[k]), ctypes.c_int64(words))
                return 8 * words * again

            found[name] = _rate(pool, threads, read, 1)
    return {"seconds": [], "peaks": found}


def _rate(pool: ThreadPoolExecutor, threads: int, call: Callable[[int], int], rounds: int) -> float:
    """Units a second of all threads together, in the fastest pass."""
    best = 0.0
    for _ in range(PASSES):
        start = time.perf_counter()
        units = sum(pool.map(call, range(threads))) * rounds
        best = max(best, units / (time.perf_counter() - start))
    return best


def work(threads: int, spec: str) -> dict:
    """Multiply-accumulates of a timestep, those of the first layer, weights, and values sent."""
    from netx_export import read

    network = read(Path(spec))
    products, weights = [], 0
    for _, population in network.populations:
        area = math.prod(population.shape[1:])
        sizes = [s.weight.size for s in population.synapses if s.weight.ndim > 1]
        products.append(sum(sizes) * area)
        weights += sum(sizes)
    values = sum(math.prod(layer.shape) for layer in network.layers)
    facts = {"products": sum(products), "first": products[0], "weights": weights, "values": values}
    return {"seconds": [], "facts": facts}
