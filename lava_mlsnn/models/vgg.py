"""VGG-11 and VGG-16 with multi-level neurons."""

from __future__ import annotations

from collections import OrderedDict

from lava_mlsnn.models.config import VGGS, ModelConfig
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.slayer import block as b

__all__ = ["vgg_blocks"]


def vgg_blocks(config: ModelConfig) -> OrderedDict[str, b.Block]:
    """3x3 convolutions with 2x2 pooling, then one hidden dense layer and scores.

    Max pooling is exact at T = 1 alone: ``pool="avg"`` averages and fires
    again, ``pool="stride"`` gives the convolution before it a stride of 2. Pools
    that the image is too small for are left out.
    """
    bits = config.weight_bits
    scaling = Scaling.stock(bits) if config.stock else Scaling(weight_bits=bits)
    params = config.neuron_params
    layout = VGGS[config.arch]
    width = config.channels
    blocks: OrderedDict[str, b.Block] = OrderedDict()
    last: b.Block = b.Input(
        config.input_shape, config.input_levels, float(config.input_levels), config.input_signed
    )
    blocks["input"] = last
    first = scaling
    if config.stock:
        low = -config.input_levels if config.input_signed else 0
        first = Scaling.stock(bits, (low, config.input_levels))
    conv = pool = 0
    for position, item in enumerate(layout):
        c, h, w = last.shape
        small = min(h, w) < 2
        if isinstance(item, int):
            conv += 1
            pools_next = position + 1 < len(layout) and layout[position + 1] == "P"
            stride = 2 if config.pool == "stride" and pools_next and not small else 1
            last = b.Conv(
                params,
                c,
                width * item,
                3,
                stride=stride,
                padding=1,
                input_size=(h, w),
                scaling=first if conv == 1 else scaling,
            )
            blocks[f"conv{conv}"] = last
        elif config.pool == "avg" and not small:
            pool += 1
            last = b.Pool(params, last.shape, 2, payload_max=last.payload_max)
            blocks[f"pool{pool}"] = last
    last = blocks["flatten"] = b.Flatten(last.shape, last.payload_max)
    hidden = b.Dense(params, last.shape[0], width * 8, scaling=scaling)
    blocks["dense"] = hidden
    last_scaling = scaling if config.stock else Scaling.shared(bits)
    blocks["output"] = b.Output(width * 8, config.classes, scaling=last_scaling)
    return blocks
