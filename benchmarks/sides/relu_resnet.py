"""The same ResNet with BatchNorm and ReLU, as torch users write it."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["ReluResnet"]


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        y += self.shortcut(x)
        return self.relu(y)


class ReluResnet(nn.Module):
    """Stem, stages and sizes of :mod:`lava_mlsnn.models.resnet`, activations in place."""

    def __init__(
        self, arch: str, shape: tuple[int, ...], classes: int = 10, width: int = 0
    ) -> None:
        super().__init__()
        from lava_mlsnn.models.config import RESNETS, ModelConfig

        config = ModelConfig(arch=arch, width=width)
        width = config.channels
        parts: list[nn.Module] = [
            nn.Conv2d(shape[0], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        channels = width
        body = RESNETS[config.arch]
        for stage, (repeat, factor) in enumerate(zip(body.repeats, body.factors, strict=True)):
            for index in range(repeat):
                stride = 2 if index == 0 and stage > 0 else 1
                parts.append(_Residual(channels, width * factor, stride))
                channels = width * factor
        self.features = nn.Sequential(*parts)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.scores = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores of (N, C, H, W)."""
        return self.scores(self.pool(self.features(x)).flatten(1))
