"""One training by several processes: each takes its share of every batch.

Every process draws the same order and the same random changes and keeps its rows of the
batch; ``DistributedDataParallel`` averages the gradients. With W processes of n samples
each, BatchNorm normalises by mean and variance of all W n, as one process would::

    mean = sum_r sum_i x_ri / (W n)        var = sum_r sum_i (x_ri - mean)**2 / (W n)

Torch's own SyncBatchNorm computes the same, on GPUs alone. So losses and weights are those
of one process up to rounding.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from lava_mlsnn.errors import ConfigError, said
from lava_mlsnn.launcher import launched

__all__ = [
    "Processes",
    "common_statistics",
    "gathered",
    "join_group",
    "leave_group",
    "process_group",
]

PATIENCE = timedelta(days=1)  # while one evaluates; the launcher ends all where one has died
T = TypeVar("T")

Norm = torch.nn.BatchNorm1d | torch.nn.BatchNorm2d


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """The group of the processes that torchrun started: nccl on GPUs, gloo on CPUs."""
    if launched()[1] == 1:
        yield
        return
    if device == "cuda":
        place, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if place >= there:
            raise ConfigError(
                f"every process needs a GPU of its own, torch finds {there} on this machine and "
                f"this is process {place + 1} on it; start fewer, or train on --device cpu"
            )
        torch.cuda.set_device(place)
    try:
        join_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:  # of torch, in several lines
        raise ConfigError(
            f"the processes of torchrun do not find each other ({said(error)}); start them "
            "with 'torchrun --nproc-per-node K -m lava_mlsnn ...'"
        ) from None
    try:
        yield
    finally:
        leave_group(device)


def join_group(backend: str, **options: Any) -> None:
    """Torch's default group, made after its compiler was imported.

    Optimisers import the compiler. With torch 2.14, where a group is there at that time, it is
    never destroyed: its threads live on, and may end the process by SIGABRT as it exits.
    """
    importlib.import_module("torch._dynamo")
    dist.init_process_group(backend, **options)


def leave_group(device: str = "cpu") -> None:
    """Destroy torch's default group; with torch before 2.8 its own function may wait for ever.

    There the group's destructor joins gloo's threads while it holds the interpreter's lock, and
    one of them may need that to free its last tensor. The backend's destructor gives the lock
    up: so the group must not be what holds the backend last.
    """
    backend = None
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 8):
        backend = dist.distributed_c10d._get_default_group()._get_backend(torch.device(device))
    dist.destroy_process_group()
    del backend


def gathered(value: T) -> list[T] | None:
    """The values of all processes of a launcher, in their order, in the first one; else None."""
    rank, count = launched()
    if count == 1:
        return [value]
    found: list[Any] | None = None if rank else [None] * count
    with process_group("cpu"):
        dist.gather_object(value, found)
    return found


class Processes:
    """The processes of torch's default group; one alone where there is no group.

    Attributes
    ----------
    rank : int
        Of this process, from 0.
    count : int
        How many there are.
    """

    def __init__(self) -> None:
        there = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if there else 0
        self.count = dist.get_world_size() if there else 1

    def check(self, batch_size: int) -> None:
        """ConfigError for batches that do not split into equal shares of two samples or more."""
        if self.count > 1 and (batch_size % self.count or batch_size < 2 * self.count):
            raise ConfigError(
                f"{self.count} processes need batches of a multiple of {self.count} samples, at "
                f"least {2 * self.count}, got {batch_size} (batch_size, or all there are)"
            )

    def mine(self, batch: torch.Tensor) -> torch.Tensor:
        """The rows that this process computes."""
        return batch[self.rank :: self.count] if self.count > 1 else batch

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        if self.count > 1:
            dist.all_reduce(value)
        return value

    @contextmanager
    def first(self, alone: bool) -> Iterator[None]:
        """With ``alone``, process 0 runs the block before the others do."""
        wait = alone and self.count > 1
        if wait and self.rank:
            dist.barrier()
        yield
        if wait and not self.rank:
            dist.barrier()

    def agree(self, what: str, value: object) -> None:
        """ConfigError in every process where they do not hold the same value."""
        values = [value] * self.count
        if self.count > 1:
            dist.all_gather_object(values, value)
        if any(other != values[0] for other in values):
            raise ConfigError(f"all processes need the same {what}, got {values}")

    def parallel(self, model: torch.nn.Module, unused: bool) -> torch.nn.Module:
        """The model whose gradients are averages over the processes; ``unused``: some get none."""
        if self.count == 1:
            return model
        return DistributedDataParallel(model, find_unused_parameters=unused)


class _Total(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total


@contextmanager
def common_statistics(model: torch.nn.Module, processes: Processes) -> Iterator[None]:
    """BatchNorm of the model in training mode over the batches of all processes."""
    norms = [m for m in model.modules() if isinstance(m, Norm)] if processes.count > 1 else []
    for norm in norms:
        norm.forward = functools.partial(_normalised, norm, processes.count)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward  # the class's own is below it


def _normalised(norm: Norm, count: int, x: torch.Tensor) -> torch.Tensor:
    """What ``norm`` makes of (n, C, ...), n samples in each of ``count`` processes."""
    if not norm.training:
        return type(norm).forward(norm, x)
    assert norm.running_mean is not None and norm.running_var is not None
    assert norm.num_batches_tracked is not None
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, -1, *[1] * (x.dim() - 2)]
    size = x.numel() // x.shape[1] * count
    mean = _Total.apply(x.sum(axes)) / size
    centred = x - mean.reshape(shape)
    var = _Total.apply(centred.square().sum(axes)) / size
    norm.num_batches_tracked.add_(1)
    share = norm.momentum
    if share is None:
        share = 1 / int(norm.num_batches_tracked)
    with torch.no_grad():
        norm.running_mean.lerp_(mean, share)
        norm.running_var.lerp_(var * (size / (size - 1)), share)
    y = centred * torch.rsqrt(var + norm.eps).reshape(shape)
    if norm.weight is not None:
        y = y * norm.weight.reshape(shape) + norm.bias.reshape(shape)
    return y
