"""Sparse-ResNet, and its alternatives in the same body."""

from __future__ import annotations

from collections import OrderedDict

from lava_mlsnn.models.config import RESNETS, ModelConfig
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.slayer import block as b

__all__ = ["resnet_blocks"]


def resnet_blocks(config: ModelConfig) -> OrderedDict[str, b.Block]:
    """Stem, stages of residual blocks, global sum pool, scores.

    CIFAR stem (3x3, stride 1). Depths 8 and 20 have three stages of 1 and 3 blocks,
    18 and 34 four stages, as in He et al. (2016); ``small`` is depth 8 for 8x8 images.

    ``fast`` is as wide as its maps are small, after the networks of CIFAR-10 speed runs (Jordan,
    arXiv:2404.00498): every stage is a convolution, 2x2 max pooling (a stride of 2 instead at
    T > 1, where that is not exact) and a block of one convolution beside an identity shortcut.
    """
    body = RESNETS[config.arch]
    scaling = Scaling(weight_bits=config.weight_bits)
    params = config.neuron_params
    c, h, w = config.input_shape
    width = config.channels
    blocks: OrderedDict[str, b.Block] = OrderedDict()
    blocks["input"] = b.Input(
        config.input_shape, config.input_levels, float(config.input_levels), config.input_signed
    )
    if config.barrier == "ms":
        blocks["stem"] = b.Stream(config.input_shape, width, weight_bits=config.weight_bits)
    else:
        blocks["stem"] = b.Conv(params, c, width, 3, padding=1, input_size=(h, w), scaling=scaling)
    last: b.Block = blocks["stem"]
    for stage, (repeat, factor) in enumerate(zip(body.repeats, body.factors, strict=True)):
        if body.short:
            c, h, w = last.shape
            stride = 1 if config.timesteps == 1 else 2
            last = b.Conv(
                params, c, width * factor, 3, stride, 1, input_size=(h, w), scaling=scaling
            )
            blocks[f"stage{stage + 1}_conv"] = last
            if stride == 1:
                last = b.MaxPool(last.shape, 2, payload_max=last.payload_max)
                blocks[f"stage{stage + 1}_pool"] = last
        for index in range(repeat):
            last = b.Residual(
                params,
                last.shape,
                width * factor,
                stride=2 if index == 0 and stage > 0 and not body.short else 1,
                convolutions=1 if body.short else 2,
                barrier=config.barrier,
                barrier_threshold=config.barrier_threshold,
                shortcut_neuron=config.shortcut_neuron,
                payload_max=last.payload_max,
                scaling=scaling,
            )
            blocks[f"stage{stage + 1}_block{index + 1}"] = last
    if config.barrier == "ms":
        last = blocks["stream_end"] = b.StreamEnd(params, last.shape)
    window = (last.shape[1], last.shape[2])
    pool = b.Pool(None, last.shape, window, payload_max=last.payload_max)
    blocks["pool"] = pool
    blocks["flatten"] = b.Flatten(pool.shape, pool.payload_max)
    blocks["output"] = b.Output(
        pool.shape[0],
        config.classes,
        weight_scale=1.0 / (window[0] * window[1]),
        scaling=Scaling.shared(config.weight_bits),
    )
    return blocks
