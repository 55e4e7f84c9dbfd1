"""Max pooling of ``loops.c`` over tensors (N, C, H, W), channels last in memory.

Windows lie side by side and cover the image. Bytes are those of
:mod:`lava_mlsnn.neuron.payloads`; words are float32 or bfloat16.
"""

from __future__ import annotations

import ctypes

import torch

from lava_mlsnn.native.kernels import POINTER, WORDS, Layout, call, layout_of
from netx_export.spec.kernels import Pair

__all__ = ["fits", "pool", "spread"]

TAPS = 127  # of a window: they are counted in a byte


class _Windows(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rows", "width", "channels", "kh", "kw")),
        *((name, POINTER) for name in ("code", "largest", "which", "z", "grad")),
    ]


def fits(x: torch.Tensor, code: torch.Tensor, kernel: Pair) -> bool:
    """Whether the loops take such an image and such windows."""
    whole = x.shape[2] % kernel[0] == 0 and x.shape[3] % kernel[1] == 0
    small = kernel[0] * kernel[1] <= TAPS and x.dtype in WORDS
    return whole and small and layout_of([x[None], code[None]]) is not None


def pool(
    code: torch.Tensor, kernel: Pair, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The largest payload of each window, as words and as bytes, and which tap has it first."""
    n, c, h, w = code.shape
    shape = n, c, h // kernel[0], w // kernel[1]
    z, largest, which = (
        torch.empty(shape, dtype=kind, memory_format=torch.channels_last, device="cpu")
        for kind in (dtype, torch.int8, torch.int8)
    )
    job = _job(shape, kernel, which)
    job.code, job.largest, job.z = code.data_ptr(), largest.data_ptr(), z.data_ptr()
    call("pool", job, dtype, _threads(code))
    return z, largest, which


def spread(grad: torch.Tensor, which: torch.Tensor, kernel: Pair) -> torch.Tensor:
    """The gradient of the images: that of a window where its largest payload came from, else 0."""
    n, c, h, w = grad.shape
    # hooks of autograd may have made something else of what was saved
    grad = grad.resolve_neg().contiguous(memory_format=torch.channels_last)
    which = which.to(torch.int8).contiguous(memory_format=torch.channels_last)
    shape = n, c, h * kernel[0], w * kernel[1]
    out = torch.empty(shape, dtype=grad.dtype, memory_format=torch.channels_last, device="cpu")
    job = _job(tuple(grad.shape), kernel, which)
    job.z, job.grad = grad.data_ptr(), out.data_ptr()
    call("spread", job, grad.dtype, _threads(out))
    return out


def _job(shape: tuple[int, ...], kernel: Pair, which: torch.Tensor) -> _Windows:
    n, c, h, w = shape
    return _Windows(n * h, w, c, *kernel, which=which.data_ptr())


def _threads(x: torch.Tensor) -> int:
    return Layout(1, x.shape[0] * x.shape[2], x.shape[3], x.shape[1]).threads
