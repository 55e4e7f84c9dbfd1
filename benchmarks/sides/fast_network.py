"""``sparse-resnet-fast`` as users of torch and of SpikingJelly write it: same layers and widths."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

__all__ = ["FastNetwork", "ilif"]

WIDTHS = (32, 64, 256, 256)  # stem and stages
LEVELS = 4


class FastNetwork(nn.Module):
    """Stem, and three stages of convolution, 2x2 max pooling and a block of one convolution.

    Parameters
    ----------
    activation : callable
        Makes the module behind every BatchNorm.
    """

    def __init__(self, activation: Callable[[], nn.Module]) -> None:
        super().__init__()

        def arm(inputs: int, outputs: int) -> nn.Sequential:
            conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(outputs))

        self.stem = nn.Sequential(*arm(3, WIDTHS[0]), activation())
        self.stages = nn.ModuleList()
        for inputs, outputs in pairwise(WIDTHS):
            stage = nn.ModuleDict(
                {
                    "first": nn.Sequential(*arm(inputs, outputs), activation(), nn.MaxPool2d(2)),
                    "branch": arm(outputs, outputs),
                    "last": activation(),
                }
            )
            self.stages.append(stage)
        self.scores = nn.Linear(WIDTHS[-1], 10)
        for module in self.modules():  # the start that ours has, too
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for stage in self.stages:
            nn.init.constant_(stage["branch"][1].weight, 1 / len(self.stages))  # type: ignore[index]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (N, 10) of images (N, 3, 32, 32)."""
        z = self.stem(x)
        for stage in self.stages:
            z = stage["first"](z)  # type: ignore[index]
            z = stage["last"](stage["branch"](z) + z)  # type: ignore[index]
        return self.scores(z.mean((2, 3)))


def ilif() -> nn.Module:
    """SpikingJelly's integer neuron at T = 1: z in 0..4, its own gradient, no leak."""
    from spikingjelly.activation_based import neuron, surrogate  # type: ignore[import-not-found]

    counts = surrogate.MultiLevelSpikeCount(LEVELS)
    return _OneTimestep(neuron.ILIFNode(surrogate_function=counts, step_mode="m"))


class _OneTimestep(nn.Module):
    """A multi-step node on a map of one timestep; the node is reset first, as its users must."""

    def __init__(self, node: nn.Module) -> None:
        super().__init__()
        self.node = node

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.node.reset()  # type: ignore[operator]
        return self.node(x[None])[0]
