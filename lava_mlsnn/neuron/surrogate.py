"""Graded spikes over T timesteps, with surrogate gradients, as one autograd node.

Forward is :func:`netx_export.spec.neurons.step.multilevel_step` repeated T times. Backward
replaces the staircase's derivative by one of::

    ste          dz/dH = 1/vth  for 0 <= H <= N*vth, else 0
    ste_shifted  dz/dH = 1/vth  for vth/2 <= H <= (N + 1/2)*vth, else 0
    ste_wide     dz/dH = 1/vth  for 0 <= H <= (N + 1)*vth, else 0
    sigmoid      dz/dH = sum_{k=1..N} alpha/vth * s_k (1 - s_k),  s_k = sigmoid(alpha (H/vth - k))

and dz/dvth = -H/vth * dz/dH. With g_t the gradient of z_t and s_t = vth * dz/dH::

    dL/dH_t = s_t g_t / vth + r_t dL/dH_{t+1},    r_t = 1 - s_t, or 1 with detached reset

``ste`` is I-LIF's window, ``ste_shifted`` LM-HT's; ``ste_wide`` has the step of the largest
level too, where payload N lies with V0 > 0; ``sigmoid`` is the N-threshold form
of the authors' surrogate.

What backward keeps: one byte a neuron and timestep (outside the window or not). H/vth
itself, four bytes, is kept for ``sigmoid`` and for a trained threshold alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._ops import ops

from lava_mlsnn.choices import SURROGATES, check_choice

__all__ = ["spike", "spikes_over_time"]


def _window(levels: int, surrogate: str) -> tuple[float, float]:
    """Both ends, inclusive, of where the gradient passes, in units of vth."""
    shift = 0.5 if surrogate == "ste_shifted" else 0.0
    return shift, levels + (1.0 if surrogate == "ste_wide" else shift)


def _slope(u: torch.Tensor, levels: int, alpha: float) -> torch.Tensor:
    """The sigmoid surrogate's dz/du at u = H/vth."""
    slope = torch.zeros_like(u)
    scale = torch.full_like(u, alpha)
    for k in range(1, levels + 1):
        s = (u - k).mul_(alpha).sigmoid_()
        slope += ops.aten.sigmoid_backward(scale, s)
    return slope


class _Spikes(torch.autograd.Function):
    """Inputs (T, ...); ``start`` (V0) is None where it is 0."""

    @staticmethod
    def forward(
        ctx: Any,
        a: torch.Tensor,
        vth: torch.Tensor,
        start: torch.Tensor | None,
        options: tuple[int, str, float, bool],
        keeps: torch.dtype | None,
    ) -> torch.Tensor:
        levels, surrogate, _, _ = options
        low, high = _window(levels, surrogate)
        z = torch.empty_like(a)
        kept = None if keeps is None else torch.empty_like(a, dtype=keeps)
        v = start
        for t in range(len(a)):
            h = a[t] if v is None else v + a[t]
            u = h / vth
            torch.clamp(u, 0, levels, out=z[t])
            if keeps == torch.bool:
                # a cast to bool is one fast pass, comparisons take several times as long
                u.sub_(z[t] if (low, high) == (0, levels) else u.clamp(low, high))
            if kept is not None:
                kept[t] = u
            z[t].floor_()
            if t < len(a) - 1:  # nothing to carry at T = 1
                v = h.sub_(vth * z[t]) if t else h - vth * z[t]
        ctx.options = options
        ctx.start_shape = None if start is None else start.shape
        ctx.save_for_backward(*(() if kept is None else (vth, kept)))
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        vth, kept = ctx.saved_tensors
        like = torch.empty_like(kept, dtype=grads[0].dtype)
        grad = torch.div(grads[0], vth, out=like)
        grad_vth = grad_start = None
        if kept.dtype == torch.bool:
            _through_window(grad, kept, ctx.options[3])
        else:
            grad_vth = _through_slope(grad, kept, vth, ctx.options)
            if ctx.start_shape is not None:
                grad_start = grad[0].sum_to_size(ctx.start_shape)
        return grad, grad_vth, grad_start, None, None


def _through_window(grad: torch.Tensor, outside: torch.Tensor, detached: bool) -> None:
    """dL/dH of a fixed threshold, in place of g / vth."""
    later: torch.Tensor | None = None  # dL/dH of the next timestep
    for t in reversed(range(len(grad))):
        g = grad[t]
        stop = outside[t].view(torch.int8).to(g.dtype)  # 1 or 0
        if later is None or detached:
            # g where the second argument lies in the range, else 0
            ops.aten.hardtanh_backward(g, stop, -1.0, 0.5, grad_input=g)
            if later is not None:
                g += later
        else:
            g.lerp_(later, stop)
        later = g


def _through_slope(
    grad: torch.Tensor,
    kept: torch.Tensor,
    vth: torch.Tensor,
    options: tuple[int, str, float, bool],
) -> torch.Tensor:
    """dL/dH in place of g / vth from u = H / vth and any slope; returns dL/dvth."""
    levels, surrogate, alpha, detached = options
    low, high = _window(levels, surrogate)
    grad_vth = torch.zeros_like(vth)
    later: torch.Tensor | None = None
    for t in reversed(range(len(grad))):
        g, u = grad[t], kept[t]
        if surrogate == "sigmoid":
            slope = _slope(u, levels, alpha)
        else:
            slope = (u.clamp(low, high) == u).to(u.dtype)
        passed = slope * g
        if later is None:
            share = passed * u
        else:
            # V_t = H_t - vth z_t: through the reset, z_t moves V_t by -vth
            reset = 0.0 if detached else slope * later
            share = (passed - reset) * u + later * u.clamp(0, levels).floor_()
            passed += later - reset
        grad_vth -= share.sum_to_size(vth.shape)
        g.copy_(passed)
        later = g
    return grad_vth


def spikes_over_time(
    a: torch.Tensor,
    vth: torch.Tensor,
    start: torch.Tensor | None,
    levels: int,
    surrogate: str = "ste",
    alpha: float = 4.0,
    detach_reset: bool = False,
) -> torch.Tensor:
    """Graded spikes of T timesteps: ``H = V + a; z = clip(floor(H/vth), 0, N); V = H - vth z``.

    Parameters
    ----------
    a : Tensor, (T, ...)
        Input currents, time first, floating.
    vth : Tensor
        Threshold, broadcast against one timestep.
    start : Tensor or None
        V0, broadcast likewise; None for 0.
    levels : int
        N.
    surrogate : {"ste", "ste_shifted", "ste_wide", "sigmoid"}
        Backward rule, see the module.
    alpha : float
        Steepness of ``sigmoid``.
    detach_reset : bool
        Keep the gradient out of ``vth z``, where z is concerned.

    Returns
    -------
    Tensor, (T, ...)
        Payloads 0..N, in the memory layout of ``a``.
    """
    trains = vth.requires_grad or (start is not None and start.requires_grad)
    keeps: torch.dtype | None = None
    if torch.is_grad_enabled() and (a.requires_grad or trains):
        keeps = a.dtype if surrogate == "sigmoid" or trains else torch.bool
    return _Spikes.apply(a, vth, start, (levels, surrogate, alpha, detach_reset), keeps)


def spike(
    h: torch.Tensor, vth: torch.Tensor, levels: int, surrogate: str = "ste", alpha: float = 4.0
) -> torch.Tensor:
    """Graded spike of membrane values of any shape; arguments as :func:`spikes_over_time`.

    Raises
    ------
    ConfigError
        For an unknown surrogate.
    """
    check_choice("surrogate", surrogate, SURROGATES)
    return spikes_over_time(h[None], vth, None, levels, surrogate, alpha)[0]
