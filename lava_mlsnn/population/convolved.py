"""A convolution of payloads with rounded weights: forward in 8 bits, backward as torch's own.

Payloads are bytes and so are rounded weights, so the sums of the forward are whole numbers
that the processor makes four at a time where it makes one of floats; one factor a channel
takes them to the units of training. Backward keeps the bytes alone, of both.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch._ops import ops

from lava_mlsnn.neuron.payloads import LARGEST, payloads
from netx_export.exact_settings import cast_to
from netx_export.spec.kernels import Pair

__all__ = ["Steps", "convolved", "note_steps", "steps_of"]

NAME = "_weight_steps"
WORDS = (torch.float32, torch.bfloat16)
Window = tuple[Pair, Pair, Pair, int]


class Steps(NamedTuple):
    """A rounded weight as whole numbers of steps, ``weight = steps * unit``."""

    steps: torch.Tensor  # int8
    unit: torch.Tensor  # float32, (C,)


def note_steps(weight: torch.Tensor, steps: Steps | None) -> None:
    """Say of a weight what it is made of."""
    if steps is not None:
        setattr(weight, NAME, (steps, weight._version))


def steps_of(weight: torch.Tensor) -> Steps | None:
    """What was said of the weight, unless it was written to since."""
    steps, version = getattr(weight, NAME, (None, 0))
    return steps if version == weight._version else None


class _Convolved(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        code: torch.Tensor,
        steps: Steps | None,
        window: Window,
    ) -> torch.Tensor:
        dtype = cast_to("cpu") or weight.dtype
        if steps is not None and dtype in WORDS and window[-1] == 1 and _sums_bytes():
            y = _in_bytes(code, steps, dtype, window)
            kept: tuple[torch.Tensor, ...] = steps
        else:
            y = F.conv2d(x, weight, None, *window)
            kept = (weight.to(y.dtype),)  # autocast chooses the type
        ctx.window, ctx.dtypes = window, (x.dtype, weight.dtype)
        ctx.save_for_backward(code, *kept)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        code, weight, *unit = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.window
        if unit:
            weight = weight.to(torch.float32, memory_format=torch.channels_last)
            weight = weight.mul_(unit[0].reshape(-1, 1, 1, 1)).to(grads[0].dtype)
        x = payloads(code, weight.dtype)
        window = None, stride, padding, dilation, False, (0, 0), groups
        needs = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False]
        to_x, to_weight, _ = ops.aten.convolution_backward(grads[0], x, weight, *window, needs)
        found = zip((to_x, to_weight), ctx.dtypes, strict=True)
        return *(None if g is None else g.to(dtype) for g, dtype in found), None, None, None


def _in_bytes(code: torch.Tensor, steps: Steps, dtype: torch.dtype, window: Window) -> torch.Tensor:
    packed = ops.onednn.qconv_prepack(steps.steps, steps.unit, 1.0, 0, *window, None)
    zeros = torch.zeros(len(steps.unit), dtype=torch.int64)
    x = (code & LARGEST).view(torch.uint8)
    scales = steps.unit, zeros, None, *window, 1.0, 0
    y: torch.Tensor = ops.onednn.qconv2d_pointwise(
        x, 1.0, 0, packed, *scales, dtype, "none", [], ""
    )
    return y


@functools.cache
def _sums_bytes() -> bool:
    """Whether this torch and this machine convolve bytes, and without a mistake."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, LARGEST + 1, (2, 40, 6, 6), generator=generator, dtype=torch.int8)
    w = torch.randint(-LARGEST, LARGEST + 1, (17, 40, 3, 3), generator=generator, dtype=torch.int8)
    w[0] = x[:] = LARGEST  # the largest sums
    unit = torch.rand(17, generator=generator)
    x = x.contiguous(memory_format=torch.channels_last)
    window = (1, 1), (1, 1), (1, 1), 1
    try:
        found = _in_bytes(x, Steps(w, unit), torch.float32, window)
        _in_bytes(x, Steps(w, unit), torch.bfloat16, window)
    except (AttributeError, RuntimeError, TypeError):  # another torch, another machine
        return False
    right = F.conv2d(x.double(), w.double(), None, 1, 1).float() * unit.reshape(-1, 1, 1)
    return torch.equal(found, right)


def convolved(
    x: torch.Tensor, weight: torch.Tensor, code: torch.Tensor, window: Window
) -> torch.Tensor:
    """``conv2d`` of payloads x, whose values ``code`` has in bytes.

    ``window``: stride, padding, dilation, groups. In 8 bits where the weight's steps are known
    (:func:`note_steps`) and this machine can.
    """
    y: torch.Tensor = _Convolved.apply(x, weight, code, steps_of(weight), window)
    return y
