"""Our convolution block in training: 8-bit weights and, as an option, BatchNorm included."""

from __future__ import annotations

import torch

from benchmarks.sides.block_timing import CHANNELS, SIZE, binary_input, measure_block

__all__ = ["run"]


def run(
    threads: int, timesteps: int, levels: int, norm: bool, repeats: int, own_layout: bool = True
) -> dict:
    """Forward and backward, (N, C, H, W, T)."""
    from lava_mlsnn.slayer import block

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    neuron = {"threshold": 1.0, "levels": levels}
    conv = block.Conv(neuron, CHANNELS, CHANNELS, 3, padding=1, input_size=SIZE, norm=norm).train()
    weight = conv.synapse.weight
    assert weight is not None
    x = binary_input(timesteps, -1)
    return measure_block(conv, list(conv.parameters()), weight, x, -1, repeats, own_layout)
