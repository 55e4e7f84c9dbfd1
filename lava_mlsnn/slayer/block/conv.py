"""Convolution blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapses import ConvSynapse, ConvTSynapse, Hook, pair
from lava_mlsnn.slayer.block.base import SpikingBlock, weighted
from netx_export.spec.kernels import Pair

__all__ = ["Conv", "ConvT"]


def _source(channels: int, size: int | Pair | None) -> tuple[int, ...]:
    """(C, H, W), or (C,) alone where the first forward will say the size."""
    return (channels,) if size is None else (channels, *pair(size, "input_size", 1))


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
    weight_scale, weight_norm, pre_hook_fx, delay, delay_shift, count_log, norm, scaling
        As for :class:`Dense`.
    input_size : int or (int, int), optional
        Height and width of the input; without it the first forward says them, and until
        then the block has no shape.
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
        weight_norm: bool = False,
        pre_hook_fx: Hook | None = None,
        delay: bool = False,
        delay_shift: bool = False,
        count_log: bool = False,
        *,
        input_size: int | Pair | None = None,
        norm: bool = True,
        scaling: Scaling | None = None,
    ) -> None:
        source = _source(in_features, input_size)
        synapse = ConvSynapse(
            source, out_features, kernel_size, stride, padding, dilation, groups, weight_scale, norm
        )
        weighted(synapse, weight_norm, pre_hook_fx)
        super().__init__(synapse, neuron_params, scaling, delay, delay_shift, count_log)


class ConvT(SpikingBlock):
    """Transposed convolution, BatchNorm and multi-level neuron, as torch's ``ConvTranspose2d``.

    Parameters
    ----------
    neuron_params, in_features, out_features, kernel_size, stride, padding, dilation, groups
        As for :class:`Conv`; padding is taken off the output.
    weight_scale, weight_norm, pre_hook_fx, delay, delay_shift, count_log
        As for :class:`Conv`.
    input_size, norm, scaling
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
        weight_norm: bool = False,
        pre_hook_fx: Hook | None = None,
        delay: bool = False,
        delay_shift: bool = False,
        count_log: bool = False,
        *,
        input_size: int | Pair | None = None,
        output_padding: int | Pair = 0,
        norm: bool = True,
        scaling: Scaling | None = None,
    ) -> None:
        synapse = ConvTSynapse(
            _source(in_features, input_size),
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
        weighted(synapse, weight_norm, pre_hook_fx)
        super().__init__(synapse, neuron_params, scaling, delay, delay_shift, count_log)
