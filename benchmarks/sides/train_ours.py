"""Training our networks: an epoch, and the memory and throughput of steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.errors import SideError
from benchmarks.sides.timing import timed

__all__ = ["build", "cuda", "epoch", "memory", "random_batch", "steps", "train_step"]


def build(kind: str, arch: str, shape: list[int], **config: Any) -> torch.nn.Module:
    """Our network, or the same one with ReLU; both with random weights of seed 0."""
    torch.manual_seed(0)
    if kind == "relu":
        from benchmarks.sides.relu_resnet import ReluResnet

        return ReluResnet(arch, tuple(shape), **config)
    from lava_mlsnn import ModelConfig, build_model
    from lava_mlsnn.memory import keep_freed_memory

    keep_freed_memory()  # as ``mlsnn train`` does
    return build_model(ModelConfig(arch=arch, input_shape=tuple(shape), **config))


def random_batch(
    samples: int, shape: list[int], device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in 0..1 and labels of ten classes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(samples, *shape, generator=generator)
    return x.to(device), torch.randint(0, 10, (samples,), generator=generator).to(device)


def train_step(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, amp: bool = False
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Forward, backward and update, as in :mod:`lava_mlsnn.training.loop`."""

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=amp):
            scores = model(x)
        loss = F.cross_entropy(scores.float(), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def epoch(
    threads: int, arch: str, shape: list[int], samples: int, timesteps: int, levels: int
) -> dict:
    """Seconds of one epoch, after a few steps that are not counted."""
    torch.set_num_threads(threads)
    model = build("ours", arch, shape, timesteps=timesteps, levels=levels).train()
    step = train_step(model, torch.optim.AdamW(model.parameters(), 1e-3))
    x, y = random_batch(samples, shape)
    parts = list(zip(x.split(64), y.split(64), strict=True))
    for part in parts[:2]:
        step(*part)
    start = time.perf_counter()
    losses = [step(*part) for part in parts]
    seconds = time.perf_counter() - start
    if not all(bool(loss.isfinite()) for loss in losses):
        raise SideError("the loss is not finite")
    weights = sum(p.numel() for p in model.parameters())
    return {"seconds": [seconds], "facts": {"weights": weights, "samples": samples}}


def steps(
    threads: int,
    kind: str,
    arch: str,
    width: int,
    shape: list[int],
    batch: int,
    steps: int,
    amp: bool,
) -> dict:
    """Seconds of each step of a training with SGD, whole: forward, backward, update."""
    from lava_mlsnn.memory import keep_freed_memory

    keep_freed_memory()  # both sides alike
    torch.set_num_threads(threads)
    model = build(kind, arch, shape, width=width).train()
    x, y = random_batch(batch, shape)
    if kind == "relu":
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, 0.9, weight_decay=5e-4, nesterov=True)
    step = train_step(model, optimizer, amp)
    seconds = timed(lambda: step(x, y), steps)
    facts = {
        "finite": bool(step(x, y).isfinite()),
        "convolutions": _convolution_weights(model),
    }
    return {"seconds": seconds, "facts": facts}


def memory(threads: int, kind: str, arch: str, shape: list[int], batch: int, steps: int) -> dict:
    """Bytes that training steps add at their peak: activations, gradients, optimiser state."""
    from benchmarks.sides.memory import Peak

    torch.set_num_threads(threads)
    model = build(kind, arch, shape).train()
    step = train_step(model, torch.optim.AdamW(model.parameters(), 1e-3))
    x, y = random_batch(batch, shape)
    with Peak() as peak:
        for _ in range(steps):
            loss = step(x, y)
    facts = {"finite": bool(loss.isfinite()), "convolutions": _convolution_weights(model)}
    return {"seconds": [peak.added], "total": peak.total, "facts": facts}


def _convolution_weights(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.dim() == 4)


def cuda(threads: int, kind: str, arch: str, shape: list[int], batch: int, steps: int) -> dict:
    """Seconds per step on the GPU, and the peak of its memory."""
    if not torch.cuda.is_available():
        raise SideError("torch sees no CUDA device")
    torch.set_num_threads(threads)
    model = build(kind, arch, shape).to("cuda").train()
    step = train_step(model, torch.optim.AdamW(model.parameters(), 1e-3))
    x, y = random_batch(batch, shape, "cuda")
    for _ in range(5):
        step(x, y)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        loss = step(x, y)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    facts = {"finite": bool(loss.isfinite()), "convolutions": _convolution_weights(model)}
    return {
        "seconds": seconds,
        "peak_bytes": torch.cuda.max_memory_allocated(),
        "device": torch.cuda.get_device_name(),
        "facts": facts,
    }
