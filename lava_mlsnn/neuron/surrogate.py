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

What backward keeps: one byte a neuron and timestep, the payload and whether H is outside
the window (:mod:`lava_mlsnn.neuron.payloads`). H/vth itself, four bytes, is kept for
``sigmoid`` and for a trained threshold alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch._ops import ops

from lava_mlsnn.choices import SURROGATES, check_choice
from lava_mlsnn.neuron import loops
from lava_mlsnn.neuron.currents import Affine, Factors, chunks, columns, current, in_rows
from lava_mlsnn.neuron.payloads import LARGEST, OUTSIDE, bytes_of, note_bytes

__all__ = ["spike", "spikes_over_time"]

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
EXACT = 256  # payloads up to it are exact in bfloat16 and float16


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
    """Parts (T, ...) that sum to the currents, then what they are scaled by.

    ``start`` (V0) is None where it is 0. A chunk of neurons goes through all its timesteps
    before the next one begins.
    """

    @staticmethod
    def forward(
        ctx: Any,
        vth: torch.Tensor,
        start: torch.Tensor | None,
        options: tuple[int, str, float, bool],
        keeps: torch.dtype | None,
        affines: Sequence[Affine | None],
        *inputs: torch.Tensor,
    ) -> torch.Tensor:
        levels, surrogate, _, _ = options
        parts = inputs[: len(affines)]
        pairs = list(zip(parts, affines, strict=True))
        scaled = [None if a is None else a.factors(_folded(p)) for p, a in pairs]
        common = functools.reduce(torch.promote_types, [p.dtype for p in parts])
        dtype = _arithmetic(common)
        z = torch.empty_like(parts[0], dtype=common if levels <= EXACT else dtype)
        kept = code = None
        if keeps is not None and levels <= LARGEST and z.is_cpu:
            code = None if torch.compiler.is_compiling() else torch.empty_like(z, dtype=torch.int8)
        if keeps is not None and (code is None or keeps != torch.bool):
            kept = torch.empty_like(z, dtype=keeps)
        neuron, window, layout = (vth, start, levels), _window(levels, surrogate), None
        if code is not None and kept is None:
            layout = loops.layout_of(parts, z, code, vth, start)
            if layout and not loops.fire(layout, parts, scaled, neuron, window, z, code):
                layout = None
        finite = layout is not None
        if layout is None:
            _fire(parts, scaled, neuron, window, z, code, kept, keeps == torch.bool)
            finite = code is not None and all(map(_is_finite, parts, scaled))
        if keeps is not None:
            ctx.options, ctx.one, ctx.dtype, ctx.affines = options, _is_one(vth), common, affines
            ctx.start_shape = None if start is None else start.shape
            ctx.layout = layout
            needed = [p if a and a.needs_part else None for p, a in pairs]
            # what scales them is saved so that nobody changes it meanwhile
            ctx.save_for_backward(
                vth, code if kept is None else kept, *needed, *inputs[len(affines) :]
            )
        if finite and code is not None:  # what is not has no bytes, and goes on as it is
            note_bytes(z, code)
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        vth, kept, *parts = ctx.saved_tensors
        grad_vth = grad_start = None
        if ctx.layout is not None:
            wanted = ctx.needs_input_grad[5 : 5 + len(ctx.affines)]
            neuron, given = (vth, ctx.options[3]), grads[0].to(ctx.dtype)
            return *[None] * 5, *loops.through(
                ctx.layout, given, kept, neuron, ctx.affines, parts[: len(ctx.affines)], wanted
            )
        if kept.dtype in (torch.bool, torch.int8):
            grad = torch.empty_like(kept, dtype=ctx.dtype)
            rows, _ = in_rows([grads[0].to(ctx.dtype), grad, kept])
            for g, into, marks in chunks(rows, not _shared(vth, None)):
                outside = -marks.view(torch.int8) if marks.dtype == torch.bool else marks >> 7
                _through_window(g, into, outside, None if ctx.one else vth, ctx.options[3])
        else:
            grad = torch.div(grads[0].to(kept.dtype), vth, out=torch.empty_like(kept))
            grad_vth = _through_slope(grad, kept, vth, ctx.options)
            if ctx.start_shape is not None:
                grad_start = grad[0].sum_to_size(ctx.start_shape)
            grad = grad.to(ctx.dtype)
        towards: list[torch.Tensor | None] = []
        scales: list[torch.Tensor | None] = []
        for affine, part, wanted in zip(ctx.affines, parts, ctx.needs_input_grad[5:], strict=False):
            if affine is None:
                towards.append(grad)
                continue
            folded = None if part is None else _folded(part)
            found, *others = affine.backward(_folded(grad), folded, wanted)
            towards.append(None if found is None else found.view_as(grad))
            scales += others
        return grad_vth, grad_start, None, None, None, *towards, *scales


def _fire(
    parts: Sequence[torch.Tensor],
    scaled: Sequence[Factors | None],
    neuron: tuple[torch.Tensor, torch.Tensor | None, int],
    window: tuple[float, float],
    z: torch.Tensor,
    code: torch.Tensor | None,
    kept: torch.Tensor | None,
    bits: bool,
) -> None:
    """Payloads, bytes and u = H/vth (``bits``: whether it is outside the window) by torch."""
    vth, start, levels = neuron
    (low, high), one = window, _is_one(vth)
    dtype, keeps = _arithmetic(z.dtype), code is not None or kept is not None
    rows, width = in_rows([*parts, z, *(x for x in (code, kept) if x is not None)])
    factors = [None if f is None else columns(f, z.dim() - 1, width) for f in scaled]
    buffers = [z]
    for chunk in chunks(rows, not _shared(vth, start)):
        if buffers[0].shape != chunk[0].shape[1:]:
            wanted = True, True, len(z) > 1, z.dtype != dtype
            buffers = [torch.empty_like(chunk[0][0], dtype=dtype) if w else z for w in wanted]
            flag = torch.empty_like(buffers[0], dtype=torch.bool)
        h, u, carry, narrow = buffers
        v = start
        for t, now in enumerate(zip(*(x.unbind(0) for x in chunk), strict=True)):
            sent, last = now[len(parts)], t == len(z) - 1
            a = current(now, factors, h, u)
            a = a if v is None else torch.add(v, a, out=h)
            ratio = a if one else torch.div(a, vth, out=u)
            out = sent if sent.dtype == dtype else narrow
            torch.clamp(ratio, 0, levels, out=out)
            if bits:
                # a cast to bool is one fast pass, comparisons take several times as long
                inside = out if (low, high) == (0, levels) else ratio.clamp(low, high)
                ratio = torch.sub(ratio, inside, out=h if last and a is h else u)
            if keeps:
                (flag if kept is None else now[-1]).copy_(ratio)
            out.floor_()
            if code is not None:
                now[len(parts) + 1].copy_(out)
                if kept is None:
                    now[-1].add_(flag.view(torch.int8), alpha=OUTSIDE)
            if out is narrow:
                sent.copy_(out)
            if not last:  # nothing to carry behind it
                v = torch.sub(a, out if one else torch.mul(out, vth, out=u), out=carry)


def _folded(x: torch.Tensor) -> torch.Tensor:
    """(T, N, ...) to (T*N, ...)."""
    return x[0] if len(x) == 1 else x.flatten(0, 1)


def _arithmetic(dtype: torch.dtype) -> torch.dtype:
    """What the neuron computes in: float32 at least."""
    return torch.promote_types(dtype, torch.float32)


def _is_one(vth: torch.Tensor) -> bool:
    """Whether it is known, without waiting for a device, that nothing need be divided."""
    return type(vth) is torch.Tensor and vth.is_cpu and vth.dim() == 0 and float(vth) == 1.0


def _is_finite(part: torch.Tensor, factors: Factors | None) -> bool:
    """Whether it is known, at little cost, that a part of the currents is finite."""
    if bytes_of(part) is not None:
        return True
    gain, shift = (None, None) if factors is None else factors
    # mean and variance are in both: one number that is not finite would be, too
    found = part if gain is None or shift is None else gain + shift
    return math.isfinite(float(found.detach().sum(dtype=_arithmetic(found.dtype))))


def _shared(vth: torch.Tensor, start: torch.Tensor | None) -> bool:
    """Whether all neurons have one threshold and one start."""
    return vth.dim() == 0 and (start is None or start.dim() == 0)


def _through_window(
    grads: torch.Tensor,
    into: torch.Tensor,
    outside: torch.Tensor,
    vth: torch.Tensor | None,
    detached: bool,
) -> None:
    """dL/dH of a fixed threshold (None: 1) from dL/dz; ``outside`` the window -1, inside 0."""
    bits = BITS[into.element_size()]
    later: torch.Tensor | None = None  # dL/dH of the next timestep
    for g, out, stop in reversed(list(zip(grads, into, outside, strict=True))):
        if vth is not None:
            g = torch.div(g, vth, out=out)
        if later is None or detached:
            # all bits of g, or none: a product would take twice as long, and make inf NaN
            torch.bitwise_and(g.view(bits), (~stop).to(bits), out=out.view(bits))
            if later is not None:
                out += later
        else:
            torch.lerp(g, later, (-stop).to(g.dtype), out=out)
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
    affines : sequence of Affine or None, optional
        Makes ``gain * part + shift`` of a part.

    Returns
    -------
    Tensor, (T, ...)
        Payloads 0..N, in the memory layout of the first part and the type of the parts
        (computed in float32 at least, and sent as that where 16 bits do not hold N).
    """
    affines = [None] * len(parts) if affines is None else affines
    trains = vth.requires_grad or (start is not None and start.requires_grad)
    keeps: torch.dtype | None = None
    inputs = [*parts, *(p for a in affines if a for p in a.parameters)]
    if torch.is_grad_enabled() and (trains or any(x.requires_grad for x in inputs)):
        slopes = surrogate == "sigmoid" or trains
        keeps = _arithmetic(parts[0].dtype) if slopes else torch.bool
    options = levels, surrogate, alpha, detach_reset
    return _Spikes.apply(vth, start, options, keeps, affines, *inputs)


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
