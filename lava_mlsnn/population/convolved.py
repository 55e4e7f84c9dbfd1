"""A convolution of payloads, which keeps them as bytes for its backward."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch._ops import ops

from lava_mlsnn.neuron.payloads import payloads
from netx_export.spec.kernels import Pair

__all__ = ["convolved"]


class _Convolved(torch.autograd.Function):
    """As torch's own, whose two gradients it has."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        code: torch.Tensor,
        window: tuple[Pair, Pair, Pair, int],
    ) -> torch.Tensor:
        y = F.conv2d(x, weight, None, *window)
        ctx.window, ctx.dtypes = window, (x.dtype, weight.dtype)
        ctx.save_for_backward(code, weight.to(y.dtype))  # autocast chooses the type
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        code, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.window
        x = payloads(code, weight.dtype)
        window = None, stride, padding, dilation, False, (0, 0), groups
        needs = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False]
        to_x, to_weight, _ = ops.aten.convolution_backward(grads[0], x, weight, *window, needs)
        dtypes = ctx.dtypes
        return (
            None if to_x is None else to_x.to(dtypes[0]),
            None if to_weight is None else to_weight.to(dtypes[1]),
            None,
            None,
        )


def convolved(
    x: torch.Tensor,
    weight: torch.Tensor,
    code: torch.Tensor,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> torch.Tensor:
    """``conv2d`` of payloads x, whose values ``code`` has in bytes; see :mod:`payloads`."""
    y: torch.Tensor = _Convolved.apply(x, weight, code, (stride, padding, dilation, groups))
    return y
