"""Random changes of training batches: shift, mirror, cutout, and mixup of pairs.

Mixup (Zhang et al., arXiv:1710.09412) draws one ``l ~ Beta(a, a)`` a batch and trains on
``l x + (1 - l) x'`` with the targets ``l y + (1 - l) y'``, x' the batch in another order.
``l`` is taken as the larger part, so that the label of x stays the likelier one.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.training.config import TrainConfig

__all__ = ["augment", "mirrored", "mixup"]


def augment(
    x: torch.Tensor,
    config: TrainConfig,
    generator: torch.Generator,
    mirror: torch.Tensor | None = None,
) -> torch.Tensor:
    """Shift, mirror and cut images (N, C, H, W), or frames (N, C, H, W, T) all alike.

    The generator is one of the CPU wherever x lies: results do not depend on the device.
    With ``mirror``, (N,) of bool, these images are mirrored and none at random.
    """
    if x.dim() == 5 and (config.shift or config.flip or config.cutout):
        n, c, h, w, t = x.shape
        flat = augment(x.movedim(-1, 2).reshape(n, c * t, h, w), config, generator, mirror)
        return flat.reshape(n, c, t, h, w).movedim(2, -1)
    n, _, height, width = x.shape[:4]
    if config.shift:
        s = config.shift
        padded = F.pad(x, (s, s, s, s), "reflect" if config.reflect else "constant")
        offsets = torch.randint(0, 2 * s + 1, (n, 2), generator=generator).to(x.device)
        # every window of the size of an image, as a view; one is copied per image
        windows = padded.unfold(2, height, 1).unfold(3, width, 1).movedim(1, 3)
        x = windows[torch.arange(n, device=x.device), offsets[:, 0], offsets[:, 1]]
    if config.flip:
        if mirror is None:
            mirror = torch.rand(n, generator=generator) < 0.5
        mirror = mirror.to(x.device)
        x = torch.where(mirror[:, None, None, None], x.flip(-1), x)
    if config.cutout:
        rows, columns = (
            _covered(size, config.cutout, n, generator).to(x.device) for size in (height, width)
        )
        hidden = (rows[:, :, None] & columns[:, None, :])[:, None]
        x = torch.where(hidden, x.mean((0, 2, 3), keepdim=True), x)
    return x


def _covered(size: int, cut: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """Which places of an axis a cut covers, (count, size) of bool; centred anywhere on it.

    At an edge less is cut, so that the middle is not hidden more often. Source: cutout,
    DeVries and Taylor (arXiv:1708.04552).
    """
    first = torch.randint(0, size, (count, 1), generator=generator) - cut // 2
    place = torch.arange(size)
    return (place >= first) & (place < first + cut)


def mirrored(count: int, epoch: int, seed: int) -> torch.Tensor:
    """Which images an epoch mirrors, (count,) of bool: the next one mirrors the others.

    Source: alternating flip, Jordan (arXiv:2404.00498).
    """
    first = torch.rand(count, generator=torch.Generator().manual_seed(seed)) < 0.5
    return first ^ bool(epoch % 2)


def mixup(
    x: torch.Tensor, y: torch.Tensor, classes: int, alpha: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of a batch, mixed.

    Parameters
    ----------
    x : Tensor, (N, ...)
        Inputs.
    y : Tensor of int64, (N,)
        Classes.
    classes : int
        How many there are.
    alpha : float
        Both parameters of the Beta distribution; small values mix little.
    generator : torch.Generator
        Of the CPU; decides the share and the pairs.

    Returns
    -------
    tuple of Tensor
        Inputs as x, and targets (N, classes) whose rows add up to 1.
    """
    # torch's Beta takes no generator
    seed = int(torch.randint(2**62, (), generator=generator))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))
    share = max(share, 1 - share)
    other = torch.randperm(len(x), generator=generator).to(x.device)
    targets = F.one_hot(y, classes).to(x.dtype)
    return torch.lerp(x[other], x, share), torch.lerp(targets[other], targets, share)
