"""Where the axes lie in memory: (T, N, H, W, C) behind SLAYER's (N, C, H, W, T).

Blocks hand each other views whose memory is time first and channels last. Folding
time into the batch is then free, and convolution, BatchNorm and pooling find the
layout they are fastest in. Any other layout works too and costs a copy at the first
block that meets it.
"""

from __future__ import annotations

import torch

__all__ = ["fold_time", "unfold_time"]


def fold_time(x: torch.Tensor) -> torch.Tensor:
    """(N, ..., T) to (T*N, ...), images in channels_last; a view where memory allows."""
    folded = x.squeeze(-1) if x.shape[-1] == 1 else x.movedim(-1, 0).flatten(0, 1)
    if folded.dim() == 4:
        return folded.contiguous(memory_format=torch.channels_last)
    return folded


def unfold_time(x: torch.Tensor, timesteps: int) -> torch.Tensor:
    """(T*N, ...) to (N, ..., T); a view."""
    if timesteps == 1:
        return x.unsqueeze(-1)
    return x.unflatten(0, (timesteps, -1)).movedim(0, -1)
