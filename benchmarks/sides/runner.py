"""Our integer runner."""

from __future__ import annotations

import importlib
import inspect
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides.timing import batches, timed, timed_batches

__all__ = ["leaf", "memory", "run", "runner_of", "stream_memory"]


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
    if batch == 1 and hasattr(runner, "warm_up"):
        runner.warm_up()
    scores = runner.run(x, batch_size=batch).output  # warms up with the work itself
    parts = [x[s] for s in batches(count, batch)] if batch == 1 else [x]
    seconds = timed_batches(lambda part: runner.run(part, batch_size=batch), parts, passes)
    return {"seconds": seconds, "arrays": {"output": scores[..., -1]}}


def leaf(threads: int, spec: str, samples: str, count: int) -> dict:
    """Seconds per timestep of the leaf ProcessModel's engine, without Lava's messages."""
    import torch

    from lava_mlsnn.engine import StreamEngine
    from lava_mlsnn.memory import keep_freed_memory
    from netx_export import read

    keep_freed_memory()
    torch.set_num_threads(threads)
    x = np.load(samples)[:count].astype(np.int64)
    engine = StreamEngine(read(Path(spec)))

    def step(sample: np.ndarray) -> None:
        engine.advance()
        engine.receive(sample)

    for sample in x[:20]:
        step(sample)
    return {"seconds": [timed(partial(step, sample), 1, 0)[0] for sample in x]}


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


def stream_memory(threads: int, spec: str, samples: str, count: int) -> dict:
    """Bytes of the whole process at its peak while it runs so many samples, batch by batch."""
    from benchmarks.sides.memory import Peak
    from netx_export import read

    x = np.load(samples)
    runner = runner_of(read(Path(spec)), threads)
    with Peak() as peak:
        for _ in range(count // len(x)):
            for _trace in runner.iter_traces(x, ()):
                pass
    return {"seconds": [peak.total]}
