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

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch._ops import ops

from lava_mlsnn.choices import SURROGATES, check_choice

__all__ = ["Affine", "spike", "spikes_over_time"]

CHUNK = 1 << 18  # neurons at a time: what lies between two operators stays in the caches
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
EXACT = 256  # payloads up to it are exact in bfloat16 and float16
Affine = tuple[torch.Tensor | None, torch.Tensor]  # gain (None: 1) and shift, (C, 1, ...)


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
    """Parts (T, ...) that sum to the currents; ``start`` (V0) is None where it is 0.

    A chunk of neurons goes through all its timesteps before the next one begins.
    """

    @staticmethod
    def forward(
        ctx: Any,
        vth: torch.Tensor,
        start: torch.Tensor | None,
        options: tuple[int, str, float, bool],
        keeps: torch.dtype | None,
        affines: Sequence[Affine | None],
        *parts: torch.Tensor,
    ) -> torch.Tensor:
        levels, surrogate, _, _ = options
        low, high = _window(levels, surrogate)
        common = functools.reduce(torch.promote_types, [p.dtype for p in parts])
        dtype, one = _arithmetic(common), _is_one(vth)
        z = torch.empty_like(parts[0], dtype=common if levels <= EXACT else dtype)
        kept = None if keeps is None else torch.empty_like(z, dtype=keeps)
        buffers = [z]
        for chunk in _chunks([*parts, z, *(() if kept is None else (kept,))], vth, start):
            if buffers[0].shape != chunk[0].shape[1:]:
                buffers = [torch.empty_like(chunk[0][0], dtype=dtype) for _ in range(4)]
            h, u, carry, narrow = buffers
            v = start
            for t, now in enumerate(zip(*(x.unbind(0) for x in chunk), strict=True)):
                sent = now[len(parts)]
                a = _current(now, affines, h, u)
                a = a if v is None else torch.add(v, a, out=h)
                ratio = a if one else torch.div(a, vth, out=u)
                out = sent if sent.dtype == dtype else narrow
                torch.clamp(ratio, 0, levels, out=out)
                if keeps == torch.bool:
                    # a cast to bool is one fast pass, comparisons take several times as long
                    inside = out if (low, high) == (0, levels) else ratio.clamp(low, high)
                    ratio = torch.sub(ratio, inside, out=u)
                if kept is not None:
                    now[-1].copy_(ratio)
                out.floor_()
                if out is narrow:
                    sent.copy_(out)
                if t < len(z) - 1:  # nothing to carry at T = 1
                    v = torch.sub(a, out if one else torch.mul(out, vth, out=u), out=carry)
        ctx.options, ctx.one, ctx.dtype = options, one, common
        ctx.start_shape = None if start is None else start.shape
        ctx.save_for_backward(*(() if kept is None else (vth, kept)))
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        vth, kept = ctx.saved_tensors
        grad_vth = grad_start = None
        if kept.dtype == torch.bool:
            grad = torch.empty_like(kept, dtype=ctx.dtype)
            for g, into, outside in _chunks([grads[0].to(ctx.dtype), grad, kept], vth, None):
                _through_window(g, into, outside, None if ctx.one else vth, ctx.options[3])
        else:
            grad = torch.div(grads[0].to(kept.dtype), vth, out=torch.empty_like(kept))
            grad_vth = _through_slope(grad, kept, vth, ctx.options)
            if ctx.start_shape is not None:
                grad_start = grad[0].sum_to_size(ctx.start_shape)
        parts = (grad.to(ctx.dtype),) * (len(ctx.needs_input_grad) - 5)
        return grad_vth, grad_start, None, None, None, *parts


def _arithmetic(dtype: torch.dtype) -> torch.dtype:
    """What the neuron computes in: float32 at least."""
    return torch.promote_types(dtype, torch.float32)


def _is_one(vth: torch.Tensor) -> bool:
    """Whether it is known, without waiting for a device, that nothing need be divided."""
    return type(vth) is torch.Tensor and vth.is_cpu and vth.dim() == 0 and float(vth) == 1.0


def _chunks(
    tensors: Sequence[torch.Tensor], vth: torch.Tensor, start: torch.Tensor | None
) -> Iterator[Sequence[torch.Tensor]]:
    """All (T, N, ...), cut into samples of about ``CHUNK`` neurons together; on a CPU alone."""
    like = tensors[0]
    whole = like.dim() < 2 or not like.is_cpu or torch.compiler.is_compiling()
    if whole or vth.dim() > 0 or (start is not None and start.dim() > 0):
        return iter([tensors])
    rows = max(1, CHUNK // max(1, like[0, :1].numel()))
    return zip(*(x.split(rows, 1) for x in tensors), strict=True)


def _current(
    parts: Sequence[torch.Tensor],
    affines: Sequence[Affine | None],
    out: torch.Tensor,
    spare: torch.Tensor,
) -> torch.Tensor:
    """The sum of ``gain * part + shift``, in ``out`` unless a part is all there is."""
    total: torch.Tensor | None = None
    for part, affine in zip(parts, affines, strict=False):  # behind the parts come results
        place = out if total is None else spare
        y = part if part.dtype == out.dtype else place.copy_(part)
        if affine is not None:
            gain, shift = affine
            if gain is None:
                y = torch.add(y, shift, out=place)
            else:
                y = torch.addcmul(shift, y, gain, out=place)
        total = y if total is None else torch.add(total, y, out=out)
    assert total is not None
    return total


def _through_window(
    grads: torch.Tensor,
    into: torch.Tensor,
    outside: torch.Tensor,
    vth: torch.Tensor | None,
    detached: bool,
) -> None:
    """dL/dH of a fixed threshold (None: 1) from dL/dz."""
    bits = BITS[into.element_size()]
    later: torch.Tensor | None = None  # dL/dH of the next timestep
    for g, out, stop in reversed(list(zip(grads, into, outside.view(torch.int8), strict=True))):
        if vth is not None:
            g = torch.div(g, vth, out=out)
        if later is None or detached:
            # all bits of g, or none: a product would take twice as long, and make inf NaN
            torch.bitwise_and(g.view(bits), (stop - 1).to(bits), out=out.view(bits))
            if later is not None:
                out += later
        else:
            torch.lerp(g, later, stop.to(g.dtype), out=out)
        later = out


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
    parts: Sequence[torch.Tensor],
    vth: torch.Tensor,
    start: torch.Tensor | None,
    levels: int,
    surrogate: str = "ste",
    alpha: float = 4.0,
    detach_reset: bool = False,
    affines: Sequence[Affine | None] | None = None,
) -> torch.Tensor:
    """Graded spikes of T timesteps: ``H = V + a; z = clip(floor(H/vth), 0, N); V = H - vth z``.

    Parameters
    ----------
    parts : sequence of Tensor, (T, ...)
        What sums to the input currents ``a``, time first, floating.
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
    affines : sequence of (gain, shift) or None, optional
        Makes ``gain * part + shift`` of a part. The gradient of that is what the part gets:
        who scales it has to take it further, see :mod:`lava_mlsnn.population.affine`.

    Returns
    -------
    Tensor, (T, ...)
        Payloads 0..N, in the memory layout of the first part and the type of the parts
        (computed in float32 at least, and sent as that where 16 bits do not hold N).
    """
    affines = [None] * len(parts) if affines is None else affines
    trains = vth.requires_grad or (start is not None and start.requires_grad)
    keeps: torch.dtype | None = None
    if torch.is_grad_enabled() and (trains or any(p.requires_grad for p in parts)):
        slopes = surrogate == "sigmoid" or trains
        keeps = _arithmetic(parts[0].dtype) if slopes else torch.bool
    options = levels, surrogate, alpha, detach_reset
    return _Spikes.apply(vth, start, options, keeps, affines, *parts)


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
    return spikes_over_time([h[None]], vth, None, levels, surrogate, alpha)[0]
