"""Where the time goes: the runner, a Lava timestep, a training block, and training steps."""

from __future__ import annotations

import cProfile
import io
import pstats
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides.runner import runner_of

__all__ = ["block", "lava", "runner", "step"]

LINES = 15


def _layers(runner: Any, x: np.ndarray, batch: int) -> dict[str, float]:
    """Seconds per layer from the runner's own hook, where it has one."""
    hook = getattr(runner, "profile", None)
    if not callable(hook):
        return {}
    found = hook(x, batch_size=batch)
    return {str(name): float(seconds) for name, seconds in dict(found).items()}


def _functions(call: Any) -> str:
    """The functions that take the time, for any implementation."""
    profile = cProfile.Profile()
    profile.runcall(call)
    text = io.StringIO()
    stats = pstats.Stats(profile, stream=text)
    stats.strip_dirs().sort_stats("tottime").print_stats(LINES)
    lines = [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
    return "\n".join(lines)


def runner(threads: int, spec: str, samples: str, count: int, batch: int) -> dict:
    """The integer runner at one batch size."""
    from netx_export import read

    x = np.load(samples)[:count]
    engine = runner_of(read(Path(spec)), threads)
    engine.run(x, batch_size=batch)
    start = time.perf_counter()
    engine.run(x, batch_size=batch)
    seconds = (time.perf_counter() - start) / count
    return {
        "seconds": [seconds],
        "layers": _layers(engine, x, batch),
        "functions": _functions(lambda: engine.run(x, batch_size=batch)),
    }


def lava(threads: int, spec: str, samples: str, count: int) -> dict:
    """A streaming timestep in Lava beside the same sample in the runner alone."""
    from benchmarks.sides.lava_run import options
    from netx_export import read, run_lava

    network = read(Path(spec))
    x = np.load(samples)[:count]
    result = run_lava(network, x, **options(False, threads))
    engine = runner_of(network, threads)
    engine.run(x[:1], batch_size=1)
    start = time.perf_counter()
    for i in range(count):
        engine.run(x[i : i + 1], batch_size=1)
    alone = (time.perf_counter() - start) / count
    step = result.seconds / result.timesteps
    return {
        "seconds": [step],
        "layers": {"runner, batch 1": alone, "Lava and the rest": step - alone},
    }


def block(threads: int, timesteps: int, levels: int, repeats: int) -> dict:
    """The torch profiler's table of forward and backward of our convolution block."""
    import torch

    from benchmarks.sides.block_timing import CHANNELS, SIZE, binary_input
    from lava_mlsnn.memory import keep_freed_memory
    from lava_mlsnn.slayer import block as blocks

    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    neuron = {"threshold": 1.0, "levels": levels}
    conv = blocks.Conv(
        neuron, CHANNELS, CHANNELS, 3, padding=1, input_size=SIZE, norm=False
    ).train()
    x = binary_input(timesteps, -1).requires_grad_(True)
    gradient = torch.ones_like(conv(x).detach())
    for _ in range(5):
        conv(x).backward(gradient)
    return _profiled(lambda: conv(x).backward(gradient), repeats)


def step(
    threads: int, kind: str, arch: str, width: int, batch: int, amp: bool, repeats: int
) -> dict:
    """The torch profiler's table of a whole training step, ours or the same network's with ReLU."""
    import torch

    from benchmarks.networks import CIFAR
    from benchmarks.sides.train_ours import build, random_batch, train_step
    from lava_mlsnn.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(threads)
    model = build(kind, arch, list(CIFAR), width=width).train()
    x, y = random_batch(batch, list(CIFAR))
    if kind == "relu":
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = x.contiguous(memory_format=torch.channels_last)
    call = train_step(model, torch.optim.SGD(model.parameters(), 0.05, 0.9, nesterov=True), amp)
    for _ in range(3):
        call(x, y)
    return _profiled(lambda: call(x, y), repeats)


def _profiled(call: Callable[[], Any], repeats: int) -> dict:
    """Seconds of a call, and the operations that take them."""
    import torch

    start = time.perf_counter()
    for _ in range(repeats):
        call()
    seconds = (time.perf_counter() - start) / repeats
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(repeats):
            call()
    events = sorted(profile.key_averages(), key=lambda e: -e.self_cpu_time_total)[:LINES]
    lines = [f"{'ms a pass':>10}  {'calls':>6}  operation"]
    for event in events:
        milliseconds = event.self_cpu_time_total / repeats / 1e3
        lines.append(f"{milliseconds:10.3f}  {event.count / repeats:6.1f}  {event.key}")
    return {"seconds": [seconds], "functions": "\n".join(lines)}
