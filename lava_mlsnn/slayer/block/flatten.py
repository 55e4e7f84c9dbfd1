"""Flatten block."""

from __future__ import annotations

import math
from typing import Any

import torch

from lava_mlsnn.population.sized import Sized
from lava_mlsnn.slayer.block.base import Block
from netx_export.builder import Builder
from netx_export.spec import Flatten as FlattenSpec

__all__ = ["Flatten"]


class Flatten(Sized, Block):  # type: ignore[override]
    """(N, C, H, W, T) to (N, C*H*W, T), channels first as in torch.

    Parameters
    ----------
    input_shape : tuple of int, optional
        (C, H, W); without it the first forward says it.
    payload_max : int
        Passed on.
    """

    role = "view"

    def __init__(
        self,
        input_shape: tuple[int, ...] | None = None,
        payload_max: int = 0,
        count_log: bool = False,
    ) -> None:
        super().__init__(count_log)
        if input_shape is not None:
            self.take(input_shape)
        self.payload_max = payload_max

    def target(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """See :class:`Sized`."""
        return (math.prod(in_shape),)

    def layers(self, builder: Builder, name: str, source: int) -> int:
        """Add the view to an export."""
        return builder.add(FlattenSpec(source, self.shape, name))

    def forward(self, x: torch.Tensor) -> Any:
        """Keep N and T, join the rest."""
        self.take(tuple(x.shape[1:-1]))
        return self.logged(x.movedim(-1, 0).flatten(2).movedim(0, -1))
