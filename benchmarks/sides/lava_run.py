"""Our networks in a Lava run: streaming, and from the file to the first result."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["options", "run", "start"]

# What a first run loads, ours and Lava's.
IMPORTED = (
    "h5py",
    "lava.magma.core.run_configs",
    "lava.magma.runtime.runtime",
    "lava_mlsnn.lava.network.process",
)


def options(per_layer: bool, threads: int) -> dict[str, Any]:
    """Arguments of ``run_lava`` for one Process in all, or one for every layer."""
    from netx_export import run_lava

    known = inspect.signature(run_lava).parameters
    wanted = {"per_layer": per_layer, "threads": threads}
    return {name: value for name, value in wanted.items() if name in known}


def run(threads: int, spec: str, samples: str, count: int, per_layer: bool, passes: int) -> dict:
    """Seconds per sample of a streaming run: one sample enters every timestep.

    The whole run is divided by its samples, though it takes ``latency`` timesteps more to
    fill and empty: what is set up before the run is left out, nothing else. The payloads of
    every layer come from a run of the first sample with probes, which is not timed.
    """
    from netx_export import read, run_lava

    network = read(Path(spec))
    x = np.load(samples)[:count]
    extra = options(per_layer, threads)
    layers = run_lava(network, x[:1], probes=True, **extra).layers
    seconds, steps = [], 0
    for _ in range(passes):
        result = run_lava(network, x, **extra)
        seconds.append(result.seconds / count)
        steps = result.timesteps
    arrays = {f"layer.{name}": values[..., -1] for name, values in layers.items()}
    return {
        "seconds": seconds,
        "timesteps": steps,
        "arrays": {"output": result.output[..., -1], **arrays},
    }


class _Clock:
    """Names for stretches of time, taken at the borders of our code and Lava's."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + time.perf_counter() - start

    def wrap(self, owner: Any, method: str, name: str) -> None:
        original = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return original(*args, **kwargs)

        setattr(owner, method, timed)


def start(threads: int, spec: str, samples: str) -> dict:
    """From the file to the first result; imports apart.

    ``seconds`` is all of it: Lava's own compiler and process start are counted as ours,
    and so are the timesteps until the first result, so the bar is met with room to spare
    if it is met at all. ``parts`` says where it goes.
    """
    clock = _Clock()
    x = np.load(samples)[:1]
    with clock.part("imports (not counted)"):
        for name in IMPORTED:
            importlib.import_module(name)
        from lava.magma.core.process.process import AbstractProcess

        from lava_mlsnn.lava.session import LavaSession
        from netx_export import read, run_lava
    clock.wrap(AbstractProcess, "compile", "Lava compiles the Processes")
    clock.wrap(LavaSession, "__enter__", "compile and start of the runtime")
    clock.wrap(LavaSession, "run", "timesteps to the first result")
    clock.wrap(LavaSession, "stop", "end (not counted)")
    begin = time.perf_counter()
    with clock.part("read the file"):
        network = read(Path(spec))
    result = run_lava(network, x, **options(False, threads))
    total = time.perf_counter() - begin - clock.parts.get("end (not counted)", 0.0)
    parts = clock.parts
    whole = parts.pop("compile and start of the runtime", 0.0)
    parts["Lava starts the runtime"] = whole - parts.get("Lava compiles the Processes", 0.0)
    counted = sum(v for name, v in parts.items() if "not counted" not in name)
    parts["build the Processes, collect results"] = total - counted
    return {
        "seconds": [total],
        "parts": parts,
        "timesteps": result.timesteps,
        "arrays": {"output": result.output[..., -1]},
    }
