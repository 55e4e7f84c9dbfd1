"""Our integer runner."""

from __future__ import annotations

import importlib
import inspect
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides.timing import timed

__all__ = ["memory", "run", "runner_of"]


def runner_of(spec: Any, threads: int) -> Any:
    """The runner with so many threads, in a process that keeps freed memory as ``mlsnn`` does."""
    from lava_mlsnn import IntegerRunner
    from lava_mlsnn.memory import keep_freed_memory

    keep_freed_memory()
    if "threads" in inspect.signature(IntegerRunner).parameters:
        return IntegerRunner(spec, threads=threads)
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(threads)
    return IntegerRunner(spec)


def run(threads: int, spec: str, samples: str, count: int, batch: int, passes: int) -> dict:
    """Seconds per sample, and the scores of all samples.

    With a batch of 1 every time is one call for one sample.
    """
    from netx_export import read

    x = np.load(samples)[:count]
    runner = runner_of(read(Path(spec)), threads)
    if batch == 1:
        outputs: list[np.ndarray] = []
        singles = [x[i : i + 1] for i in range(count)]
        for one in singles[:5]:
            runner.run(one, batch_size=1)
        seconds = []
        for _ in range(passes):
            outputs.clear()
            for one in singles:
                start = time.perf_counter()
                output = runner.run(one, batch_size=1).output
                seconds.append(time.perf_counter() - start)
                outputs.append(output)
        scores = np.concatenate(outputs)
    else:
        scores = runner.run(x, batch_size=batch).output  # warms up with the work itself
        times = timed(lambda: runner.run(x, batch_size=batch), passes, warmup=0)
        seconds = [value / count for value in times]
    return {"seconds": seconds, "arrays": {"output": scores[..., -1]}}


def memory(threads: int, spec: str, samples: str, count: int, batch: int) -> dict:
    """Bytes that reading the file and running the samples add to the process at their peak."""
    for name in ("torch", "h5py", "lava_mlsnn.runner", "netx_export.file.reader"):
        importlib.import_module(name)  # what importing takes is no work of ours
    from benchmarks.sides.memory import Peak
    from netx_export import read

    x = np.load(samples)[:count]
    with Peak() as peak:
        scores = runner_of(read(Path(spec)), threads).run(x, batch_size=batch).output
    return {"seconds": [peak.added], "total": peak.total, "arrays": {"output": scores[..., -1]}}
