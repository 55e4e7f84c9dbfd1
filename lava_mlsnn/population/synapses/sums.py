"""Equal weights: sums over windows, and over groups of outputs."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.checks import check_whole
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.population.synapses.base import Shape, Synapse, pair
from netx_export.spec import Conv, Dense
from netx_export.spec import Synapse as SynapseSpec
from netx_export.spec.kernels import Pair, conv_output_size
from netx_export.spec.limits import MAX_NEURONS

__all__ = ["GroupSynapse", "PoolSynapse"]


class PoolSynapse(Synapse):
    """Sum over windows, each channel by itself (average pooling without the division).

    ``in_shape`` None: the first source decides it.
    """

    def __init__(
        self, in_shape: Shape | None, kernel_size: int | Pair, stride: int | Pair | None = None
    ) -> None:
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(kernel_size if stride is None else stride, "stride", 1)
        self.padding, self.dilation = (0, 0), (1, 1)
        super().__init__()
        if in_shape is not None:
            self.take(in_shape)

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        if len(in_shape) != 3:
            raise ConfigError(f"pooling needs an input of shape (C, H, W), got {in_shape}")
        size = conv_output_size(
            (in_shape[1], in_shape[2]), self.kernel_size, self.stride, (0, 0), (1, 1)
        )
        if min(size) < 1:
            raise ConfigError(f"pool {self.kernel_size} does not fit an input of {in_shape}")
        return in_shape[0], *size

    @property
    def groups(self) -> int:
        """One a channel."""
        return self.in_shape[0]

    @property
    def area(self) -> int:
        """Values summed into one."""
        return math.prod(self.kernel_size)

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Window sums, times a weight per channel if given."""
        # avg_pool2d is exact here: the divisor 1 leaves a plain sum
        y = F.avg_pool2d(x, self.kernel_size, self.stride, divisor_override=1)
        return y if weight is None else y * weight.reshape(-1, 1, 1)

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """A convolution of each channel by itself, constant weight; see :class:`Synapse`."""
        kernel = np.broadcast_to(weight.reshape(-1, 1, 1, 1), (self.groups, 1, *self.kernel_size))
        return Conv(source, kernel.copy(), exponent, self.stride, groups=self.groups)


class GroupSynapse(Synapse):
    """Sum over equal groups of neighbours, (F,) to (groups,); the first source decides F."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = check_whole("num_outputs", groups, 1, MAX_NEURONS)

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        if len(in_shape) != 1 or in_shape[0] % self.groups:
            raise ConfigError(
                f"an average of {self.groups} groups needs (F,) neurons, F a multiple of "
                f"{self.groups}, got {in_shape}"
            )
        return (self.groups,)

    @property
    def area(self) -> int:
        """Neurons summed into one."""
        return self.in_shape[0] // self.groups

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Sums, times a weight per group if given."""
        y = x.unflatten(1, (self.groups, self.area)).sum(2)
        return y if weight is None else y * weight

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """A dense synapse of blocks of ones; see :class:`Synapse`."""
        blocks = np.kron(np.eye(self.groups, dtype=np.int64), np.ones(self.area, np.int64))
        return Dense(source, weight.reshape(-1, 1) * blocks, exponent)
