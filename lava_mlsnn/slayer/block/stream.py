"""Ends of an MS-ResNet membrane stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapses import ConvSynapse, IdentitySynapse
from lava_mlsnn.slayer.block.base import PopulationBlock, make_neuron
from lava_mlsnn.slayer.block.residual import STREAM_SCALE
from netx_export.spec.kernels import Pair

__all__ = ["Stream", "StreamEnd"]


class Stream(PopulationBlock):
    """Convolution and BatchNorm without a neuron: the start of a membrane stream.

    Sends the sum in fixed point, ``STREAM_SCALE`` units per 1, as 24-bit payload.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W).
    out_features : int
        Channels.
    kernel_size, stride, padding : int or (int, int)
        Of the convolution.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        out_features: int,
        kernel_size: int | Pair = 3,
        stride: int | Pair = 1,
        padding: int | Pair = 1,
        *,
        weight_bits: int = 8,
        count_log: bool = False,
    ) -> None:
        synapse = ConvSynapse(input_shape, out_features, kernel_size, stride, padding)
        scaling = Scaling("fixed", fixed=STREAM_SCALE, weight_bits=weight_bits)
        super().__init__(Population([synapse], None, scaling), count_log)


class StreamEnd(PopulationBlock):
    """A multi-level neuron that reads the membrane stream."""

    def __init__(
        self,
        neuron_params: Mapping[str, Any],
        input_shape: tuple[int, ...],
        count_log: bool = False,
    ) -> None:
        neuron = make_neuron(neuron_params)
        synapse = IdentitySynapse(tuple(input_shape), in_scale=STREAM_SCALE)
        super().__init__(
            Population([synapse], neuron, Scaling("fixed", fixed=STREAM_SCALE)), count_log
        )
        self.payload_max = neuron.levels
