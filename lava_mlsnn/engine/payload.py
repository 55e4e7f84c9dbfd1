"""What travels between layers: (B, C, H, W) tensors, bytes where payloads fit 0..255.

Bytes are uint8, or quint8 of scale 1 and zero point 0, which some of torch's 8-bit
convolutions take and give; both are views of the same memory, so going from one to
the other copies nothing. Flat layers are (B, F, 1, 1). Memory is (B, H, W, C), down
to the strides of axes of length 1: operators choose by strides, and :func:`laid_out`
sees to it that they meet no others than they were tried with.
"""

from __future__ import annotations

import numpy as np
import torch

__all__ = [
    "BYTE_MAX",
    "empty",
    "from_array",
    "is_bytes",
    "laid_out",
    "plain",
    "quantised",
    "sample",
    "silent",
    "to_array",
]

BYTE_MAX = 255


QUINT8 = getattr(torch, "quint8", None)  # going away with the eager operators


def is_bytes(z: torch.Tensor) -> bool:
    """Whether a payload tensor holds bytes (else floats)."""
    return z.dtype in (torch.uint8, QUINT8)


def quantised(u8: torch.Tensor) -> torch.Tensor:
    """Bytes as quint8, the same memory (a copy in a trace, which knows no memory)."""
    if u8.dtype == QUINT8:
        return u8
    if torch._C._is_tracing():
        return torch._make_per_tensor_quantized_tensor(u8, 1.0, 0)
    z = torch._empty_affine_quantized((0,), scale=1.0, zero_point=0, dtype=QUINT8)
    return z.set_(u8.untyped_storage(), u8.storage_offset(), u8.size(), u8.stride())


def plain(z: torch.Tensor) -> torch.Tensor:
    """Bytes as uint8, the same memory (a copy in a trace); floats as they are."""
    if z.dtype != QUINT8:
        return z
    if torch._C._is_tracing():
        return z.int_repr()
    u8 = torch.empty(0, dtype=torch.uint8)
    return u8.set_(z.untyped_storage(), z.storage_offset(), z.size(), z.stride())


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Memory for (B, C, H, W) payloads or sums, to be written."""
    b, c, h, w = shape
    return torch.empty((b, h, w, c), dtype=dtype).permute(0, 3, 1, 2)


def laid_out(z: torch.Tensor) -> torch.Tensor:
    """The same payloads in (B, H, W, C) memory; copied only where they are in another."""
    _, c, h, w = z.shape
    strides = (h * w * c, 1, w * c, c)
    if z.stride() == strides:
        return z
    z = plain(z)
    if z.is_contiguous(memory_format=torch.channels_last):  # only axes of length 1 differ
        return z.as_strided(z.shape, strides)
    return empty(z.shape, z.dtype).copy_(z)


def silent(z: torch.Tensor) -> bool:
    """Whether nothing but zeros is sent; False in a trace, which knows no values."""
    z = plain(z)
    return not (torch._C._is_tracing() or z[:1].any() or z.any())  # one map mostly tells


def from_array(x: np.ndarray, byte: bool, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Integers (B, C, H, W) or (B, F) as a payload tensor.

    Parameters
    ----------
    x : ndarray of int
        Payloads, 0..255 if ``byte``.
    byte : bool
        Bytes, or else floats of ``dtype``.
    dtype : torch.dtype
        A float type that holds the payloads.
    """
    x = x if x.ndim == 4 else x.reshape(*x.shape, 1, 1)
    narrow = torch.from_numpy(np.ascontiguousarray(x, np.uint8 if byte else np.int64))
    return laid_out(narrow if byte else narrow.to(dtype))


def sample(
    shape: tuple[int, ...], low: int, high: int, byte: bool = True, count: int = 1
) -> torch.Tensor:
    """So many maps of payloads low..high, always the same, to try an operator on."""
    x = np.random.default_rng(0).integers(low, high + 1, (count, *shape))
    return from_array(x, byte, torch.float64)


def to_array(z: torch.Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """A payload tensor as an array (B, *shape): uint8, or the float's int64."""
    values: np.ndarray = plain(z).numpy()
    if values.dtype.kind == "f":
        values = values.astype(np.int64)
    return values.reshape(values.shape[0], *shape) if len(shape) == 1 else values
