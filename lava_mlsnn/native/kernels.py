"""The neurons' loops of ``loops.c`` over tensors.

Every tensor of a call has one layout, (T, N, F) or (T, N, C, H, W) with channels last in
memory, and one type, float32 or bfloat16. What is per channel is float32, (C,).
"""

from __future__ import annotations

import ctypes
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
    "layout_of",
    "scale",
]

PARTS, GROUPS = 8, 64  # of loops.c
WORTH = 1 << 17  # words a thread: its start costs as much as a tenth of them
WORDS = (torch.float32, torch.bfloat16)
POINTER = ctypes.c_void_p
Factors = tuple[torch.Tensor | None, torch.Tensor | None]  # gain (None: 1), shift (None: 0)


class _Neurons(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("timesteps", "rows", "width", "parts")),
        *((name, POINTER * PARTS) for name in ("part", "gain", "shift", "mean")),
        *((name, ctypes.c_float) for name in ("vth", "start", "low", "high")),
        *((name, ctypes.c_int32) for name in ("levels", "detached")),
        *((name, POINTER) for name in ("z", "code", "grad", "sums", "lost")),
    ]


class _Affine(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rows", "width")),
        *((n, POINTER) for n in ("grad", "part", "mean", "by_grad", "by_part", "constant", "out")),
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
        """How many are worth their start."""
        words = self.timesteps * self.rows * self.width
        return max(1, min(torch.get_num_threads(), words // WORTH))

    def row(self, per_channel: torch.Tensor) -> torch.Tensor:
        """(C,) as a row."""
        return per_channel.detach().to(torch.float32).repeat(self.pixels)


def layout_of(tensors: Sequence[torch.Tensor]) -> Layout | None:
    """Theirs, if they have one that the loops take and there are loops; else None."""
    first = tensors[0]
    plain = all(type(x) is torch.Tensor and x.is_cpu and x.shape == first.shape for x in tensors)
    if not plain or not first.numel():
        return None
    if first.dim() == 3 and all(x.is_contiguous() for x in tensors):
        found = Layout(first.shape[0], first.shape[1], 1, first.shape[2])
    elif first.dim() == 5 and all(_channels_last(x) for x in tensors):
        t, n, c, h, w = first.shape
        found = Layout(t, n * h, w, c)
    else:
        return None
    return None if library() is None else found


def _channels_last(x: torch.Tensor) -> bool:
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
    job, kept = _job(layout, parts, code), []
    for k, both in enumerate(factors):
        rows = [None if x is None else layout.row(x) for x in both]
        kept += rows
        job.gain[k], job.shift[k] = (_address(x) for x in rows)
    (job.vth, job.start, job.levels), (job.low, job.high) = neuron, window
    lost = torch.zeros(GROUPS, dtype=torch.int32)
    job.z, job.lost = _address(z), _address(lost)
    call("forward", job, z.dtype, layout.threads)
    return not lost.any()


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
    job, rows = _job(layout, parts, code), [None if m is None else layout.row(m) for m in means]
    for k, row in enumerate(rows):
        job.mean[k] = _address(row)
    job.vth, job.detached = vth, detached
    job.z, job.grad = _address(grads), _address(grad)
    groups = min(GROUPS, layout.rows)
    sums = torch.empty(groups, 1 + len(parts), layout.pixels, layout.channels)
    job.sums = _address(sums)
    call("backward", job, grads.dtype, layout.threads)
    return grad, list(sums.sum((0, 2), dtype=torch.float64).unbind(0))


def scale(
    layout: Layout,
    grad: torch.Tensor,
    part: torch.Tensor,
    mean: torch.Tensor,
    by: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    out: torch.Tensor,
) -> None:
    """``by[0] grad + by[1] (part - mean) + by[2]`` in ``out``, which may be ``grad``."""
    per_channel = [layout.row(x) for x in (mean, *by)]
    addresses = [_address(x) for x in (grad, part, *per_channel, out)]
    rows = layout.timesteps * layout.rows
    call("scale", _Affine(rows, layout.width, *addresses), grad.dtype, layout.threads)


def decode(layout: Layout, code: torch.Tensor, out: torch.Tensor) -> None:
    """The payloads that bytes stand for."""
    rows = layout.timesteps * layout.rows
    job = _Affine(rows=rows, width=layout.width, part=_address(code), out=_address(out))
    call("decode", job, out.dtype, layout.threads)


def _job(layout: Layout, parts: Sequence[torch.Tensor | None], code: torch.Tensor) -> _Neurons:
    job = _Neurons(layout.timesteps, layout.rows, layout.width, len(parts))
    for k, part in enumerate(parts):
        job.part[k] = _address(part)
    job.code = _address(code)
    return job


def _address(x: torch.Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def call(name: str, job: ctypes.Structure, dtype: torch.dtype, threads: int) -> None:
    """One function of the library over what ``job`` points to."""
    loops = library()
    assert loops is not None
    if getattr(loops, name)(ctypes.byref(job), int(dtype == torch.bfloat16), threads):
        raise MemoryError(f"{name} of the loops in C found no memory")
