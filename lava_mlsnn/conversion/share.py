"""Calibration by several processes: each takes some batches, all get the numbers of every one.

Batch k is that of process ``k mod W``. Whole batches are computed as one process computes them,
and what is added up is added in their order: so the result is that of one process, to the bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from lava_mlsnn.errors import ConfigError

__all__ = ["Share"]

T = TypeVar("T")


class Share:
    """The batches of one process.

    Parameters
    ----------
    together : bool
        Whether the processes of torch's default group share, where there is one; else this
        process takes all batches.
    """

    def __init__(self, together: bool = False) -> None:
        group = together and dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if group else 0
        self.count = dist.get_world_size() if group else 1

    def mine(self, batches: int) -> range:
        """Places of this process's batches."""
        return range(self.rank, batches, self.count)

    def whole(self, mine: list[T]) -> list[T]:
        """Values of all batches, in their order, from those of each process's own."""
        if self.count == 1:
            return mine
        parts: list[Any] = [None] * self.count
        dist.all_gather_object(parts, mine)
        return [parts[k % self.count][k // self.count] for k in range(sum(map(len, parts)))]

    def check_same(self, tensors: Iterable[torch.Tensor]) -> None:
        """ConfigError where the processes hold other samples or another network."""
        if self.count == 1:
            return
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
        if len(set(self.whole([digest.digest()]))) > 1:
            raise ConfigError(
                "all processes need the same network and the same calibration samples; give the "
                "network its weights, or a seed where they are drawn"
            )
