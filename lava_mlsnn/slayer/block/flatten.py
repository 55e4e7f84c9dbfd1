"""Flatten block."""

from __future__ import annotations

import math
from typing import Any

import torch

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.slayer.block.base import Block
from netx_export.builder import Builder
from netx_export.spec import Flatten as FlattenSpec
from netx_export.spec.checks import check_shape

__all__ = ["Flatten"]


class Flatten(Block):
    """(N, C, H, W, T) to (N, C*H*W, T), channels first as in torch.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W).
    payload_max : int
        Passed on.
    """

    role = "view"

    def __init__(
        self, input_shape: tuple[int, ...], payload_max: int = 0, count_log: bool = False
    ) -> None:
        super().__init__(count_log)
        self.shape = (math.prod(check_shape(input_shape, ConfigError)),)
        self.payload_max = payload_max

    def layers(self, builder: Builder, name: str, source: int) -> int:
        """Add the view to an export."""
        return builder.add(FlattenSpec(source, self.shape, name))

    def forward(self, x: torch.Tensor) -> Any:
        """Keep N and T, join the rest."""
        return self.logged(x.movedim(-1, 0).flatten(2).movedim(0, -1))
