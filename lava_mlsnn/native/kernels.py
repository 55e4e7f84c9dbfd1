"""The neurons' loops of ``loops.c`` over tensors.

Every tensor of a call has one layout, (T, N, F) or (T, N, C, H, W) with channels last in
memory, and one type, float32 or bfloat16. What is per channel is float32, (C,).
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch

from lava_mlsnn.native.compiled import library

__all__ = [
    "PARTS",
    "WORDS",
    "Layout",
    "backward",
    "call",
    "decode",
    "forward",
    "laid",
    "layout_of",
    "scale",
]

PARTS, GROUPS = 8, 64  # of loops.c
WORTH = 1 << 15  # words, as torch's GRAIN_SIZE
WORDS = (torch.float32, torch.bfloat16)
POINTER = ctypes.c_void_p
Factors = tuple[torch.Tensor | None, torch.Tensor | None]  # gain (None: 1), shift (None: 0)


class _Neurons(ctypes.Structure):
    _fields_ = [
        *((n, ctypes.c_int64) for n in ("timesteps", "rows", "width", "channels", "parts")),
        *((name, POINTER * PARTS) for name in ("part", "gain", "shift", "mean")),
        *((name, ctypes.c_float) for name in ("vth", "start", "low", "high")),
        *((name, ctypes.c_int32) for name in ("levels", "detached")),
        *((name, POINTER) for name in ("z", "code", "grad", "sums", "totals")),
        ("lost", ctypes.c_int32 * GROUPS),
    ]


class _Affine(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rows", "width", "channels")),
        *((name, POINTER) for name in ("grad", "part")),
        ("by", POINTER * 4),
        ("out", POINTER),
    ]


class Layout(NamedTuple):
    """How a tensor lies in memory: rows of ``pixels`` times ``channels`` words."""

    timesteps: int
    rows: int
    pixels: int
    channels: int

    @property
    def width(self) -> int:
        """Words of a row."""
        return self.pixels * self.channels

    @property
    def threads(self) -> int:
        """All of torch's, or one where they are not worth their start."""
        words = self.timesteps * self.rows * self.width
        return torch.get_num_threads() if words > WORTH else 1


def layout_of(tensors: Sequence[torch.Tensor]) -> Layout | None:
    """Theirs, if they have one that the loops take and there are loops; else None."""
    first = tensors[0]
    if not _loops_for(torch.get_num_threads()) or not first.numel():
        return None
    if torch._C._len_torch_dispatch_stack() or not all(_is_plain(x, first) for x in tensors):
        return None
    if first.dim() == 3 and all(x.is_contiguous() for x in tensors):
        return Layout(first.shape[0], first.shape[1], 1, first.shape[2])
    if first.dim() == 5 and all(_channels_last(x) for x in tensors):
        t, n, c, h, w = first.shape
        return Layout(t, n * h, w, c)
    return None


def _is_plain(x: torch.Tensor, first: torch.Tensor) -> bool:
    """Whether its memory holds its values."""
    return type(x) is torch.Tensor and x.is_cpu and x.shape == first.shape and not x.is_neg()


def laid(layout: Layout, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """As the loops read it; a copy where hooks of autograd made something else of it."""
    if x.dtype == dtype and layout_of([x]) == layout:
        return x
    shape = [x.shape[k] for k in ((0, 1, 3, 4, 2) if x.dim() == 5 else (0, 1, 2))]
    out = torch.empty(shape, dtype=dtype, device="cpu")
    return (out.permute(0, 1, 4, 2, 3) if x.dim() == 5 else out).copy_(x)


@functools.cache
def _loops_for(threads: int) -> bool:
    """Whether there are loops, for several threads only where they are torch's own."""
    loops = library()
    return loops is not None and (threads == 1 or bool(loops.has_threads()))


def _channels_last(x: torch.Tensor) -> bool:
    _, n, c, h, w = x.shape
    if x.stride() == (n * h * w * c, h * w * c, 1, w * c, c):  # a view takes twice as long
        return True
    return x.permute(0, 1, 3, 4, 2).is_contiguous()


def forward(
    layout: Layout,
    parts: Sequence[torch.Tensor],
    factors: Sequence[Factors],
    neuron: tuple[float, float, int],
    window: tuple[float, float],
    z: torch.Tensor,
    code: torch.Tensor,
) -> bool:
    """Payloads ``z`` and their bytes of currents ``gain part + shift``; whether all H were finite.

    If not, neither is of use. ``neuron``: vth, V0 and N; ``window``: both ends, inclusive, in
    units of vth.
    """
    job, kept = _job(layout, parts, code), [_floats(x) for both in factors for x in both]
    for k in range(len(parts)):
        job.gain[k], job.shift[k] = _address(kept[2 * k]), _address(kept[2 * k + 1])
    (job.vth, job.start, job.levels), (job.low, job.high) = neuron, window
    job.z = _address(z)
    call("forward", job, z.dtype, layout.threads)
    return not any(job.lost)


def backward(
    layout: Layout,
    grads: torch.Tensor,
    code: torch.Tensor,
    vth: float,
    detached: bool,
    parts: Sequence[torch.Tensor | None],
    means: Sequence[torch.Tensor | None],
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """dL/dH from dL/dz, and sums over all but the channels, float64 (C,).

    They are of dL/dH, and a part of ``dL/dH (part - mean)``.
    """
    grad = torch.empty_like(grads)
    job, kept = _job(layout, parts, code), [_floats(m) for m in means]
    for k, mean in enumerate(kept):
        job.mean[k] = _address(mean)
    job.vth, job.detached = vth, detached
    job.z, job.grad = _address(grads), _address(grad)
    totals = torch.zeros(1 + len(parts), layout.channels, dtype=torch.float64, device="cpu")
    job.totals = _address(totals)
    call("backward", job, grads.dtype, layout.threads)
    return grad, list(totals.unbind(0))


def scale(
    layout: Layout,
    grad: torch.Tensor,
    part: torch.Tensor,
    mean: torch.Tensor,
    by: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    out: torch.Tensor,
) -> None:
    """``by[0] grad + by[1] (part - mean) + by[2]`` in ``out``, which may be ``grad``."""
    kept = [_floats(x) for x in (mean, *by)]
    job = _Affine(layout.timesteps * layout.rows, layout.width, layout.channels)
    job.grad, job.part, job.out = (_address(x) for x in (grad, part, out))
    for k, x in enumerate(kept):
        job.by[k] = _address(x)
    call("scale", job, grad.dtype, layout.threads)


def decode(layout: Layout, code: torch.Tensor, out: torch.Tensor) -> None:
    """The payloads that bytes stand for."""
    rows = layout.timesteps * layout.rows
    job = _Affine(rows=rows, width=layout.width, part=_address(code), out=_address(out))
    call("decode", job, out.dtype, layout.threads)


def _job(layout: Layout, parts: Sequence[torch.Tensor | None], code: torch.Tensor) -> _Neurons:
    job = _Neurons(layout.timesteps, layout.rows, layout.width, layout.channels, len(parts))
    for k, part in enumerate(parts):
        job.part[k] = _address(part)
    job.code = _address(code)
    return job


def _floats(per_channel: torch.Tensor | None) -> torch.Tensor | None:
    """What holds for a channel, as the loops read it."""
    return None if per_channel is None else per_channel.to(torch.float32).contiguous()


def _address(x: torch.Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def call(name: str, job: ctypes.Structure, dtype: torch.dtype, threads: int) -> None:
    """One function of the library over what ``job`` points to."""
    loops = library()
    assert loops is not None
    if getattr(loops, name)(ctypes.byref(job), int(dtype == torch.bfloat16), threads):
        raise MemoryError(f"{name} of the loops in C found no memory")
