"""What payloads pass without a trained weight: as they are, or a few of them picked."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.population.synapses.base import Shape, Synapse
from netx_export.exact_settings import written_whole
from netx_export.spec import Conv, Identity
from netx_export.spec import Synapse as SynapseSpec
from netx_export.spec.kernels import Pair, conv_output_size

__all__ = ["IdentitySynapse", "PickSynapse"]


class IdentitySynapse(Synapse):
    """One-to-one; see :class:`Synapse` for ``gain`` and ``in_scale``.

    With ``weighted`` it has a weight per channel in their place, (C,), 8 bits as every other.
    """

    def __init__(
        self, shape: Shape, gain: float = 1.0, in_scale: float = 1.0, weighted: bool = False
    ) -> None:
        super().__init__()
        self.take(shape)
        self.gain = gain
        self.in_scale = in_scale
        if weighted:
            self.weight = torch.nn.Parameter(torch.ones(self.shape[0]))

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        return in_shape

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """``weight * x`` per channel (ones times gain by default)."""
        if weight is None:
            return x if self.gain == 1.0 else x * self.gain
        return x * weight.reshape(-1, *[1] * (len(self.shape) - 1))

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """See :class:`Synapse`."""
        return Identity(source, weight, exponent)


class PickSynapse(Synapse):
    """Sums and differences of pixels, each channel by itself: no weight that is trained.

    ``taps`` is a kernel (kH, kW) of -1, 0 and 1.
    """

    taps: torch.Tensor

    def __init__(self, in_shape: Shape, taps: torch.Tensor, stride: Pair, padding: Pair) -> None:
        self.stride, self.padding = stride, padding
        super().__init__()
        self.register_buffer("taps", taps, persistent=False)
        self.area = int(taps.abs().sum())  # pixels that are summed
        self.take(in_shape)

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        size, kernel = (in_shape[1], in_shape[2]), (self.taps.shape[0], self.taps.shape[1])
        return in_shape[0], *conv_output_size(size, kernel, self.stride, self.padding, (1, 1))

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Cross-correlation with the taps, times a weight per channel if given."""
        kernel = self.taps.to(x.dtype).expand(self.shape[0], 1, *self.taps.shape)
        if any(self.padding):  # not the convolution's: windows may lie in the padding
            (rows, columns) = self.padding
            x = F.pad(x, (columns, columns, rows, rows))
        width = (x.shape[3] - kernel.shape[3]) // self.stride[1] + 1
        x, kernel = written_whole(x, kernel, width)
        y = F.conv2d(x, kernel, None, self.stride, groups=self.shape[0])
        return y if weight is None else y * weight.reshape(-1, 1, 1)

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """A convolution of each channel by itself; see :class:`Synapse`."""
        kernel = weight.reshape(-1, 1, 1, 1) * self.taps.cpu().numpy()
        return Conv(source, kernel, exponent, self.stride, self.padding, groups=self.shape[0])
