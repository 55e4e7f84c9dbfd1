"""Forward and backward of one convolution block, the same way for every library.

Needs torch alone: the other environments import it too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.sides.timing import timed

__all__ = ["BATCH", "CHANNELS", "SIZE", "binary_input", "measure_block"]

BATCH, CHANNELS, SIZE = 32, 32, 16
Forward = Callable[[torch.Tensor], torch.Tensor]


def measure_block(
    forward: Forward,
    parameters: list[torch.Tensor],
    weight: torch.Tensor,
    x: torch.Tensor,
    time_axis: int,
    repeats: int,
    own_layout: bool = True,
) -> dict[str, Any]:
    """Seconds of forward plus backward, and facts that show the work is the same.

    Parameters
    ----------
    forward : callable
        The block.
    parameters : list of Tensor
        Whose gradients are cleared before every pass.
    weight : Tensor
        The convolution's.
    x : Tensor
        Input, all 0 and 1, plain contiguous.
    time_axis : int
        Where time is in the block's tensors.
    repeats : int
        Passes that are timed.
    own_layout : bool
        Give the input the memory layout of the block's own output, which is what it gets
        from the block before it; False leaves it plain contiguous.
    """
    if own_layout:
        with torch.no_grad():
            y = forward(x)
        like = torch.empty_strided(x.shape, y.stride(), dtype=x.dtype)
        x = like.copy_(x)
    x = x.detach().requires_grad_(True)
    # upstream gradient as the next block's backward hands it on
    upstream = torch.ones_like(forward(x).detach())

    def step() -> torch.Tensor:
        for parameter in parameters:
            parameter.grad = None
        x.grad = None
        y = forward(x)
        y.backward(upstream)
        return y

    seconds = timed(step, repeats, warmup=5)
    y = step().detach()
    shape = list(y.movedim(time_axis, -1).shape)  # (N, C, H, W, T) for all
    gradients = [x.grad, weight.grad]
    return {
        "seconds": seconds,
        "facts": {
            "shape": shape,
            "weights": weight.numel(),
            "finite": all(bool(t.isfinite().all()) for t in (y, *gradients) if t is not None),
            "input_gradient": bool(x.grad is not None and x.grad.any()),
            "weight_gradient": bool(weight.grad is not None and weight.grad.any()),
        },
        "strides": list(x.stride()),
    }


def binary_input(timesteps: int, time_axis: int) -> torch.Tensor:
    """Spikes 0 and 1, the same for all sides."""
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH, CHANNELS, SIZE, SIZE, timesteps)
    x = torch.randint(0, 2, shape, generator=generator).float()
    return x if time_axis == -1 else x.movedim(-1, time_axis).contiguous()
