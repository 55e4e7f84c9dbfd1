"""Convolution blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapse import ConvSynapse, ConvTSynapse, Hook, pair
from lava_mlsnn.slayer.block.base import SpikingBlock
from netx_export.spec.kernels import Pair

__all__ = ["Conv", "ConvT"]


class Conv(SpikingBlock):
    """Convolution, BatchNorm and multi-level neuron: (N, C, H, W, T) to (N, C', H', W', T).

    Parameters
    ----------
    neuron_params : dict
        Arguments of :class:`lava_mlsnn.neuron.MultiLevelNeuron`.
    in_features, out_features : int
        Channels.
    kernel_size, stride, padding, dilation : int or (int, int)
        In (H, W) order.
    groups : int
        Channel groups.
    weight_scale, pre_hook_fx, count_log, norm, scaling
        As for :class:`Dense`.
    input_size : int or (int, int)
        Height and width of the input: shapes are known without a first forward.
    """

    def __init__(
        self,
        neuron_params: Mapping[str, Any],
        in_features: int,
        out_features: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        weight_scale: float = 1.0,
        pre_hook_fx: Hook | None = None,
        count_log: bool = False,
        *,
        input_size: int | Pair,
        norm: bool = True,
        scaling: Scaling | None = None,
    ) -> None:
        shape = (in_features, *pair(input_size, "input_size", 1))
        synapse = ConvSynapse(
            shape, out_features, kernel_size, stride, padding, dilation, groups, weight_scale, norm
        )
        super().__init__(synapse, neuron_params, pre_hook_fx, scaling, count_log)


class ConvT(SpikingBlock):
    """Transposed convolution, BatchNorm and multi-level neuron, as torch's ``ConvTranspose2d``.

    Parameters
    ----------
    neuron_params, in_features, out_features, kernel_size, stride, padding, dilation, groups
        As for :class:`Conv`; padding is taken off the output.
    weight_scale, pre_hook_fx, count_log, input_size, norm, scaling
        As for :class:`Conv`.
    output_padding : int or (int, int)
        Rows and columns added at the end of the output, below the stride or the dilation.

    Attributes
    ----------
    synapse.weight : Parameter, (C_in, C_out / groups, kH, kW)
        As torch's and SLAYER's.
    """

    def __init__(
        self,
        neuron_params: Mapping[str, Any],
        in_features: int,
        out_features: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        weight_scale: float = 1.0,
        pre_hook_fx: Hook | None = None,
        count_log: bool = False,
        *,
        input_size: int | Pair,
        output_padding: int | Pair = 0,
        norm: bool = True,
        scaling: Scaling | None = None,
    ) -> None:
        synapse = ConvTSynapse(
            (in_features, *pair(input_size, "input_size", 1)),
            out_features,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            weight_scale,
            norm,
            output_padding=output_padding,
        )
        super().__init__(synapse, neuron_params, pre_hook_fx, scaling, count_log)
