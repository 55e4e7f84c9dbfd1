"""Thresholds per channel: what one unit of payload stands for.

``step`` u of a channel: payload z stands for ``u z``, so the largest stands for ``u N``.

* ``percentile``: u N is that percentile of the activations above 0 (Diehl et al., IJCNN 2015;
  Rueckauer et al., Front. Neurosci. 11:682, 2017; per layer there, per channel here);
* ``least-error``: u makes the mean square of ``a - u clip(round(a / u), 0, N)`` least, clipping
  and rounding together (as in Banner et al., NeurIPS 2019, by trial in place of a formula).

Over T timesteps a neuron sends T payloads whose mean counts: N T levels of u / T.
"""

from __future__ import annotations

import torch

from lava_mlsnn.choices import THRESHOLDS, check_choice

__all__ = ["steps"]

TRIALS = 48  # values of u that least-error compares
SMALLEST = 1 / 256  # of the median step: channels below count as dead


def steps(
    activations: torch.Tensor, levels: int, timesteps: int, method: str, percentile: float
) -> torch.Tensor:
    """U of every channel, float64, above 0.

    Parameters
    ----------
    activations : Tensor, (C, M)
        Of the float network, none below 0.
    levels, timesteps : int
        N and T.
    method : {"least-error", "percentile"}
        See above.
    percentile : float
        In 0..100.

    Raises
    ------
    ConfigError
        For another method.
    """
    check_choice("threshold", method, THRESHOLDS)
    a = activations.double()
    top = a.amax(1)
    if method == "percentile":
        found = _percentile(a, percentile) / levels
    else:
        found = _least_error(a, top, levels * timesteps) * timesteps
    alive = found[top > 0]
    usual = alive.median() if len(alive) else found.new_tensor(1.0)
    return torch.where(top > 0, found, usual).clamp_min(float(usual) * SMALLEST)


def _percentile(a: torch.Tensor, percentile: float) -> torch.Tensor:
    ordered = a.sort(1, descending=True).values
    rank = ((a > 0).sum(1).double() * (1 - percentile / 100)).long()
    return ordered.gather(1, rank.clamp_max(a.shape[1] - 1).unsqueeze(1)).squeeze(1)


def _least_error(a: torch.Tensor, top: torch.Tensor, levels: int) -> torch.Tensor:
    a = a.float()
    best = torch.full_like(top, torch.inf)
    chosen = top / levels
    for trial in range(TRIALS):
        u = top / levels * (1 - trial / TRIALS)
        column = u.float().clamp_min(1e-30).unsqueeze(1)
        rounded = (a / column).round_().clamp_(0, levels).mul_(column)
        error = (rounded - a).square_().mean(1).double()
        better = error < best
        best = torch.where(better, error, best)
        chosen = torch.where(better, u, chosen)
    return chosen
