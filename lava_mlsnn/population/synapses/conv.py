"""Convolutions, and transposed ones."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.checks import check_whole
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.neuron.payloads import bytes_of
from lava_mlsnn.population.convolved import convolved
from lava_mlsnn.population.synapses.base import Shape, Synapse, pair
from netx_export.exact_settings import written_whole
from netx_export.spec import Conv, ConvTranspose
from netx_export.spec import Synapse as SynapseSpec
from netx_export.spec.checks import check_shape
from netx_export.spec.geometry import Geometry
from netx_export.spec.kernels import Pair, conv_output_size
from netx_export.spec.limits import MAX_NEURONS
from netx_export.spec.synapses.conv_transpose import swapped

__all__ = ["ConvSynapse", "ConvTSynapse"]


class ConvSynapse(Synapse):
    """2D convolution (C_in, H, W) to (C_out, H', W'); (C_in,) alone leaves the size open."""

    def __init__(
        self,
        in_shape: Shape,
        out_features: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        weight_scale: float = 1.0,
        norm: bool = True,
        bias: bool = True,
    ) -> None:
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)
        self.dilation = pair(dilation, "dilation", 1)
        self.groups = groups
        in_shape = check_shape(in_shape, ConfigError)
        self.in_features = in_shape[0]
        self.out_features = check_whole("out_features", out_features, 1, MAX_NEURONS)
        check_whole("groups", groups, 1, MAX_NEURONS)
        if in_shape[0] % groups or out_features % groups:
            raise ConfigError(
                f"groups must divide {in_shape[0]} input and {out_features} output channels, "
                f"got {groups}"
            )
        super().__init__()
        if len(in_shape) != 1:
            self.take(in_shape)
        weight = (out_features, in_shape[0] // groups, *self.kernel_size)
        self._init_weight(weight, weight_scale, norm, bias)

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        if len(in_shape) != 3 or in_shape[0] != self.in_features:
            raise ConfigError(
                f"a convolution needs an input of shape (C, H, W), C = {self.in_features}, "
                f"got {in_shape}"
            )
        size = self._output_size((in_shape[1], in_shape[2]))
        if min(size) < 1:
            raise ConfigError(f"kernel {self.kernel_size} does not fit an input of {in_shape}")
        return self.out_features, *size

    def _output_size(self, size: Pair) -> Pair:
        return conv_output_size(size, self.kernel_size, self.stride, self.padding, self.dilation)

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Cross-correlation."""
        assert weight is not None
        # as the activations, so that no pass has to reorder it
        weight = weight.contiguous(memory_format=torch.channels_last)
        x, weight = written_whole(x, weight, self._output_size((x.shape[2], x.shape[3]))[1])
        window = self.stride, self.padding, self.dilation, self.groups
        learns = torch.is_grad_enabled() and weight.requires_grad
        code = bytes_of(x) if learns and not torch.compiler.is_compiling() else None
        if code is None:
            return F.conv2d(x, weight, None, *window)
        return convolved(x, weight, code, window)

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """See :class:`Synapse`."""
        return Conv(source, weight, exponent, self.stride, self.padding, self.dilation, self.groups)


class ConvTSynapse(ConvSynapse):
    """Transposed 2D convolution; ``weight`` is torch's (C_in, C_out / groups, kH, kW).

    What leaves it by name of a weight has the output channel first, as everywhere else:
    folding, scales and rounding are those of the other synapses.
    """

    def __init__(
        self,
        in_shape: Shape,
        out_features: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        weight_scale: float = 1.0,
        norm: bool = True,
        bias: bool = True,
        output_padding: int | Pair = 0,
    ) -> None:
        self.output_padding = pair(output_padding, "output_padding", 0)
        window = (kernel_size, stride, padding, dilation)
        super().__init__(in_shape, out_features, *window, groups, weight_scale, norm, bias)
        most = zip(self.output_padding, self.stride, self.dilation, strict=True)
        if any(extra >= max(step, gap) for extra, step, gap in most):
            raise ConfigError(
                f"output_padding must be below stride {self.stride} or dilation {self.dilation}, "
                f"got {self.output_padding}"
            )
        assert self.weight is not None
        # one target position meets a stride-th of the taps along each axis
        spread = math.sqrt(math.prod(self.stride))
        self.weight = torch.nn.Parameter(swapped(self.weight.detach() * spread, groups))

    def _output_size(self, size: Pair) -> Pair:
        return Geometry(
            kernel=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            transposed=True,
            output_padding=self.output_padding,
        ).output_size(size)

    @property
    def products(self) -> int:
        """Every source position reaches its fan-out, what the padding takes off included."""
        assert self.weight is not None
        return math.prod(self.in_shape) * self.weight[0].numel()

    def _weight(self) -> torch.Tensor | None:
        return swapped(super()._weight(), self.groups)

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """The transposed map, for a weight of (C_out, C_in / groups, kH, kW)."""
        weight = swapped(weight, self.groups)
        ends = self.stride, self.padding, self.output_padding
        return F.conv_transpose2d(x, weight, None, *ends, self.groups, self.dilation)

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """See :class:`Synapse`."""
        weight = swapped(weight, self.groups)
        window = (self.stride, self.padding, self.dilation)
        return ConvTranspose(source, weight, exponent, *window, self.groups, self.output_padding)
