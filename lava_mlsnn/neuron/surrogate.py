"""Gradients of the graded spike for training.

Forward is always :func:`lava_mlsnn.neuron.step.graded_spike`. Backward replaces
the staircase's derivative by one of::

    ste          dz/dH = 1/vth  for 0 <= H <= N*vth, else 0
    ste_shifted  dz/dH = 1/vth  for vth/2 <= H <= (N + 1/2)*vth, else 0
    sigmoid      dz/dH = sum_{k=1..N} alpha/vth * s_k (1 - s_k),  s_k = sigmoid(alpha (H/vth - k))

and dz/dvth = -H/vth * dz/dH. ``ste`` is I-LIF's window, ``ste_shifted`` LM-HT's,
``sigmoid`` the N-threshold form of the authors' surrogate (shared/notes/paper.md,
section 1).
"""

from __future__ import annotations

from typing import Any

import torch

from lava_mlsnn.choices import SURROGATES, check_choice
from lava_mlsnn.neuron.step import graded_spike

__all__ = ["spike"]


def _slope(u: torch.Tensor, levels: int, surrogate: str, alpha: float) -> torch.Tensor:
    """dz/du at u = H/vth."""
    if surrogate == "ste":
        return ((u >= 0) & (u <= levels)).to(u.dtype)
    if surrogate == "ste_shifted":
        return ((u >= 0.5) & (u <= levels + 0.5)).to(u.dtype)
    slope = torch.zeros_like(u)
    for k in range(1, levels + 1):
        s = torch.sigmoid(alpha * (u - k))
        slope += alpha * s * (1 - s)
    return slope


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: torch.Tensor, vth: torch.Tensor, levels: int, surrogate: str, alpha: float
    ) -> torch.Tensor:
        ctx.save_for_backward(h, vth)
        ctx.options = (levels, surrogate, alpha)
        return graded_spike(h, vth, levels)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        h, vth = ctx.saved_tensors
        u = h / vth
        grad_h = grads[0] * _slope(u, *ctx.options) / vth
        grad_vth = None
        if ctx.needs_input_grad[1]:
            grad_vth = (-grad_h * u).sum_to_size(vth.shape)
        return grad_h, grad_vth, None, None, None


def spike(
    h: torch.Tensor, vth: torch.Tensor, levels: int, surrogate: str = "ste", alpha: float = 4.0
) -> torch.Tensor:
    """Graded spike with a surrogate gradient.

    Parameters
    ----------
    h : Tensor
        Membrane value, any shape, floating.
    vth : Tensor
        Threshold, broadcast against ``h``.
    levels : int
        N.
    surrogate : {"ste", "ste_shifted", "sigmoid"}
        Backward rule, see the module.
    alpha : float
        Steepness of ``sigmoid``.

    Raises
    ------
    ConfigError
        For an unknown surrogate.
    """
    check_choice("surrogate", surrogate, SURROGATES)
    return _Spike.apply(h, vth, levels, surrogate, alpha)
