"""Payloads as bytes: what backward keeps of them where one byte holds the value.

A layer that receives payloads needs them again for the gradient of its weight. They are
whole numbers, so seven bits say what a float says in 32; the eighth is the neuron's own, for
its window. The neuron notes the bytes of what it sends, and a layer finds them by the memory
of what it receives.
"""

from __future__ import annotations

import torch

from lava_mlsnn.native import kernels
from lava_mlsnn.neuron.currents import chunks, in_rows

__all__ = ["LARGEST", "OUTSIDE", "bytes_of", "note_bytes", "payloads"]

LARGEST = 127
OUTSIDE = -128  # added where the membrane is outside the surrogate's window
NAME = "_payload_bytes"


def note_bytes(z: torch.Tensor, code: torch.Tensor) -> None:
    """Say that ``code`` (int8, laid out as ``z``) has the values of ``z`` as they are now."""
    setattr(z, NAME, (code, z._version))


def bytes_of(x: torch.Tensor) -> torch.Tensor | None:
    """The bytes, strides as ``x``; None unless it is noted memory, unchanged."""
    root = x if x._base is None else x._base
    code, version = getattr(root, NAME, (None, 0))
    if code is None or version != x._version or x.dtype != root.dtype:
        return None
    found: torch.Tensor = code.as_strided(x.shape, x.stride(), x.storage_offset())
    return found


def payloads(code: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What the bytes stand for."""
    z = torch.empty_like(code, dtype=dtype)
    layout = kernels.layout_of([code[None], z[None]]) if dtype in kernels.WORDS else None
    if layout is not None:
        kernels.decode(layout, code, z)
        return z
    (bytes_, values), _ = in_rows([code[None], z[None]])
    for some, into in chunks([bytes_, values], False):
        into.copy_(some & LARGEST)
    return z
