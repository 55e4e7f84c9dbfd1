"""Lava in one process: run after run with everything watched, and one run for an hour."""

from __future__ import annotations

import gc
import os
import resource
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from lava_mlsnn.lava.run import run_lava
from lava_mlsnn.runner import IntegerRunner
from netx_export import lava_available
from trust.networks import payloads, seeded

__all__ = ["runs", "streaming"]

DRAWN = 5  # networks, over and over: oneDNN keeps 0.3 MiB for each new one, up to 1,024 shapes
WARM = 2 * DRAWN  # runs until imports and caches are there: every network in both models
GROWTH = 4 << 20  # bytes that the process may grow afterwards, however many runs
SAMPLES = 2000  # of one streaming run


def _watched() -> dict[str, int]:
    """What a run could leave behind."""
    gc.collect()
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "children": len(psutil.Process().children(recursive=True)),
        "segments": len(os.listdir("/dev/shm")),
        "memory": psutil.Process().memory_info().rss,
    }


def runs(
    seconds: float, count: int, seed: int, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Up to ``count`` runs of a few drawn networks, in both models in turn."""
    if not lava_available():
        return {"left out": "Lava needs Python 3.10", "findings": []}
    end = time.monotonic() + seconds
    findings: list[str] = []
    first: dict[str, int] = {}
    now: dict[str, int] = {}
    highest: dict[str, int] = {}
    done = 0
    for number in range(seed, seed + count):
        if time.monotonic() > end:
            break
        try:
            spec = seeded(seed + number % DRAWN, joins=True)
            x = payloads(spec, 2, number)
            found = run_lava(spec, x, per_layer=bool(number % 2), probes=True, timeout=600)
            wanted = IntegerRunner(spec, threads=1).trace(x)
            for name, values in wanted.layers.items():
                assert np.array_equal(found.layers[name], values), f"{name} differs"
        except Exception:
            findings.append(f"run {number}: {traceback.format_exc()[-1500:]}")
            say(findings[-1])
        done += 1
        now = _watched()
        if done == WARM:
            first = now
        if done > WARM:
            highest = {k: max(v, highest.get(k, 0)) for k, v in now.items()}
            for what in ("descriptors", "threads", "children"):
                if now[what] > first[what]:
                    findings.append(f"run {number}: {what} rose from {first[what]} to {now[what]}")
        if done % 20 == 0:
            say(f"{done} runs in Lava, {now}")
    if done > 2 * WARM and now["memory"] - first["memory"] > GROWTH:
        findings.append(f"memory grew by {now['memory'] - first['memory']} bytes in {done} runs")
    after = {f"after run {WARM}": first, "at the end": now, "highest": highest}
    return {"runs": done, **after, "findings": findings}


def streaming(
    seconds: float, count: int, seed: int, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Samples one after the other at T = 1 in the leaf model, each against the runner."""
    if not lava_available():
        return {"left out": "Lava needs Python 3.10", "findings": []}
    end = time.monotonic() + seconds
    spec = seeded(seed, timesteps=1, residual=True, joins=True)
    runner = IntegerRunner(spec, threads=1)
    rng = np.random.default_rng(seed)
    low, high = spec.input.payload
    steps, differences, children, began = 0, 0, [], time.monotonic()
    memory = []
    samples = SAMPLES
    while time.monotonic() < end and steps < count:
        x = rng.integers(low, high + 1, (samples, *spec.input.shape))
        part = time.monotonic()
        found = run_lava(spec, x)
        took = time.monotonic() - part
        wanted = runner.run(x)
        differences += int(np.count_nonzero(found.output != wanted.output))
        steps += found.timesteps
        children.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)
        memory.append(psutil.Process().memory_info().rss >> 20)
        say(f"{steps} timesteps, {differences} differences, {memory[-1]} MiB")
        # as long as is left: one run for an hour, not many short ones
        left = end - time.monotonic()
        samples = max(SAMPLES, min(int(samples / took * left * 0.8), count - steps, 1 << 20))
        if left < 2 * took and samples > SAMPLES:
            break
    findings = [f"{differences} values differ"] if differences else []
    return {
        "timesteps": steps,
        "seconds": round(time.monotonic() - began),
        "differences": differences,
        "MiB of this process after each run": memory,
        "most MiB of a child so far, after each run": children,
        "populations": len(spec.populations),
        "findings": findings,
    }
