"""A feed-forward network of blocks with direct coding and class scores."""

from __future__ import annotations

from collections import OrderedDict

import torch

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.models.config import ModelConfig
from lava_mlsnn.population.rounding import rounded_together
from lava_mlsnn.slayer.block import Block

__all__ = ["MultiLevelNetwork"]


class MultiLevelNetwork(torch.nn.Module):
    """Blocks in a row; residual blocks branch inside themselves.

    Parameters
    ----------
    blocks : mapping of str to Block
        In order; the last is an ``Output`` block.
    config : ModelConfig
        What was built.

    Attributes
    ----------
    class_names : tuple of str
        What the outputs are called; () until a training or its user says so. Checkpoints
        and network files keep them.
    """

    def __init__(self, blocks: OrderedDict[str, Block], config: ModelConfig) -> None:
        super().__init__()
        self.blocks = torch.nn.Sequential(OrderedDict[str, torch.nn.Module](blocks))
        self.config = config
        self.class_names: tuple[str, ...] = ()

    @property
    def timesteps(self) -> int:
        """T of one sample."""
        return self.config.timesteps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores.

        Parameters
        ----------
        x : Tensor
            (N, C, H, W): a static image, shown in every timestep; or (N, C, H, W, T).

        Returns
        -------
        Tensor, (N, classes)
            Accumulated output at the last timestep, divided by T.
        """
        static = len(self.config.input_shape) + 1
        if x.dim() == static:
            x = x.unsqueeze(-1).expand(*x.shape, self.timesteps)
        elif x.dim() != static + 1:
            raise ConfigError(
                f"input must be (N, C, H, W) or (N, C, H, W, T), got {tuple(x.shape)}"
            )
        with rounded_together(self):
            return self.blocks(x)[..., -1] / x.shape[-1]
