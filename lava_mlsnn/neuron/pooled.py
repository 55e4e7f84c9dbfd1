"""Max pooling of payloads in training, in bytes: ``torch.nn.functional.max_pool2d``, bit for bit.

The largest of whole numbers is one of them, so the bytes of the source are all that is read, and a
byte a window, which tap came first, is all that is kept for backward.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F

from lava_mlsnn.native import pools
from lava_mlsnn.native.kernels import WORDS
from lava_mlsnn.neuron.payloads import bytes_of, note_bytes
from netx_export.spec.kernels import Pair

__all__ = ["max_pooled"]


class _Pooled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, code: torch.Tensor, kernel: Pair) -> torch.Tensor:
        z, largest, which = pools.pool(code, kernel, x.dtype)
        ctx.kernel = kernel
        ctx.save_for_backward(which)
        note_bytes(z, largest)
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (which,) = ctx.saved_tensors
        return pools.spread(grads[0], which, ctx.kernel), None, None


def max_pooled(
    x: torch.Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> torch.Tensor:
    """``max_pool2d`` of (N, C, H, W) with its arguments; bytes go on where bytes come."""
    code = None if torch.compiler.is_compiling() else bytes_of(x)
    plain = stride == kernel and padding == (0, 0) and dilation == (1, 1)
    if code is not None and plain and pools.fits(x, code, kernel) and _is_right():
        z: torch.Tensor = _Pooled.apply(x, code, kernel)
        return z
    z = F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
    if code is not None:
        note_bytes(z, z.detach().to(torch.int8))
    return z


@functools.cache
def _is_right() -> bool:
    """Whether what this machine's compiler made of the loops pools as it should."""
    generator = torch.Generator("cpu").manual_seed(0)
    code = torch.randint(0, 5, (3, 37, 4, 9), generator=generator, device="cpu")
    code = code.to(torch.int8).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(False), torch.enable_grad():
        x = code.float().requires_grad_()
        right = F.max_pool2d(x, (2, 3))
        (grad,) = torch.autograd.grad(right, x, right.detach() + 1)
    for dtype in WORDS:
        z, largest, which = pools.pool(code, (2, 3), dtype)
        same = torch.equal(z.float(), right) and torch.equal(largest.float(), right)
        if not same or not torch.equal(pools.spread(z + 1, which, (2, 3)).float(), grad):
            return False
    return True
