"""Our convolution block in training: 8-bit weights and, as an option, BatchNorm included."""

from __future__ import annotations

import torch

from benchmarks.sides.block_timing import CHANNELS, SIZE, binary_input, measure_block

__all__ = ["floor", "run"]


def run(
    threads: int, timesteps: int, levels: int, norm: bool, repeats: int, own_layout: bool = True
) -> dict:
    """Forward and backward, (N, C, H, W, T)."""
    from lava_mlsnn.memory import keep_freed_memory
    from lava_mlsnn.slayer import block

    keep_freed_memory()  # as ``mlsnn train`` does
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    neuron = {"threshold": 1.0, "levels": levels}
    conv = block.Conv(neuron, CHANNELS, CHANNELS, 3, padding=1, input_size=SIZE, norm=norm).train()
    weight = conv.synapse.weight
    assert weight is not None
    x = binary_input(timesteps, -1)
    return measure_block(conv, list(conv.parameters()), weight, x, -1, repeats, own_layout)


class _Alone(torch.nn.Module):
    """The convolution without a neuron, on time folded into the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        last = torch.channels_last
        self.conv.weight.data = self.conv.weight.data.contiguous(memory_format=last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x.movedim(-1, 0).flatten(0, 1))
        return y.unflatten(0, (x.shape[-1], -1)).movedim(0, -1)


def floor(threads: int, timesteps: int, repeats: int) -> dict:
    """The part of the work that no block can leave out: torch's convolution alone."""
    from lava_mlsnn.memory import keep_freed_memory

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    keep_freed_memory()  # as for our block
    alone = _Alone()
    x = binary_input(timesteps, -1)
    return measure_block(
        alone, list(alone.parameters()), alone.conv.weight, x, -1, repeats, own_layout=True
    )
