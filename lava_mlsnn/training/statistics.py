"""BatchNorm statistics measured over data with the final weights.

Training updates running statistics by a tenth of each batch, so after k batches 0.9**k
of their start (mean 0, variance 1) is left, and what is there is of older weights.
Evaluation folds these numbers into integers: after a short training they decide over
the accuracy. Here the averages over whole batches take their place ("precise BN",
Wu and Johnson, arXiv:2105.07576).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

__all__ = ["recalibrate"]


@torch.no_grad()
def recalibrate(model: torch.nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Set the running statistics to their averages over ``batches``; nothing else changes.

    Parameters
    ----------
    model : torch.nn.Module
        Any model; one without BatchNorm is left alone.
    batches : iterable of Tensor
        Inputs of training, shuffled: variance between batches is not seen.
    """
    norms = [
        m
        for m in model.modules()
        if isinstance(m, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d) and m.track_running_stats
    ]
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    was_training = {m: m.training for m in model.modules()}
    model.train()
    for norm in norms:
        # the plain average of all batches since the counter was 0
        norm.momentum = None  # type: ignore[assignment]
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.zero_()
    try:
        for x in batches:
            model(x)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in was_training.items():
            module.training = training
