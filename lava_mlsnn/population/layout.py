"""Where the axes lie in memory: (T, N, H, W, C) behind SLAYER's (N, C, H, W, T).

Blocks hand each other views whose memory is time first and channels last. Folding
time into the batch is then free, and convolution, BatchNorm and pooling find the
layout they are fastest in. Any other layout works too and costs a copy at the first
block that meets it.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["fold_time", "unfold_time"]


def fold_time(x: torch.Tensor) -> torch.Tensor:
    """(N, ..., T) to (T*N, ...), images in channels_last; a view where memory allows."""
    if x.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        folded: torch.Tensor = _Folded.apply(x)
    else:
        folded = _folded(x)
    if folded.dim() == 4:
        return folded.contiguous(memory_format=torch.channels_last)
    return folded


def _folded(x: torch.Tensor) -> torch.Tensor:
    return x.squeeze(-1) if x.shape[-1] == 1 else x.movedim(-1, 0).flatten(0, 1)


class _Folded(torch.autograd.Function):
    """Hands on a gradient that is no view.

    Where two layers read one payload, autograd adds the second gradient into the memory of
    the first, if nobody else knows of it; a view's base is known.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.timesteps = x.shape[-1]
        return _folded(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        grad = unfold_time(grads[0], ctx.timesteps)
        if torch.is_grad_enabled() or type(grad) is not torch.Tensor:
            return grad
        owner = torch.empty(0, dtype=grad.dtype, device=grad.device)
        memory = grad.untyped_storage(), grad.storage_offset()
        return owner.set_(*memory, grad.size(), grad.stride())


def unfold_time(x: torch.Tensor, timesteps: int) -> torch.Tensor:
    """(T*N, ...) to (N, ..., T); a view."""
    if timesteps == 1:
        return x.unsqueeze(-1)
    return x.unflatten(0, (timesteps, -1)).movedim(0, -1)
