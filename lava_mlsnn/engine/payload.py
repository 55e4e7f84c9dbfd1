"""What travels between layers: (B, C, H, W) tensors, bytes where payloads fit 0..255.

Bytes are uint8, or quint8 of scale 1 and zero point 0, which some of torch's 8-bit
convolutions take and give; both are views of the same memory, so going from one to
the other copies nothing. Flat layers are (B, F, 1, 1). Memory is (B, H, W, C).
"""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["BYTE_MAX", "from_array", "is_bytes", "plain", "quantised", "sample", "to_array"]

BYTE_MAX = 255


def is_bytes(z: torch.Tensor) -> bool:
    """Whether a payload tensor holds bytes (else floats)."""
    return z.dtype in (torch.uint8, torch.quint8)


def quantised(u8: torch.Tensor) -> torch.Tensor:
    """Bytes as quint8, the same memory."""
    if u8.dtype == torch.quint8:
        return u8
    z = torch._empty_affine_quantized((0,), scale=1.0, zero_point=0, dtype=torch.quint8)
    return z.set_(u8.untyped_storage(), u8.storage_offset(), u8.size(), u8.stride())


def plain(z: torch.Tensor) -> torch.Tensor:
    """Bytes as uint8, the same memory; floats as they are."""
    if z.dtype != torch.quint8:
        return z
    u8 = torch.empty(0, dtype=torch.uint8)
    return u8.set_(z.untyped_storage(), z.storage_offset(), z.size(), z.stride())


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
    if byte:
        return narrow.contiguous(memory_format=torch.channels_last)
    return narrow.to(dtype).contiguous(memory_format=torch.channels_last)


def sample(shape: tuple[int, ...], top: int) -> torch.Tensor:
    """A map of bytes 0..top, always the same, to try an operator on."""
    x = np.random.default_rng(0).integers(0, top + 1, (1, *shape))
    return from_array(x, byte=True)


def to_array(z: torch.Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """A payload tensor as an array (B, *shape): uint8, or the float's int64."""
    values: np.ndarray = plain(z).numpy()
    if values.dtype.kind == "f":
        values = values.astype(np.int64)
    return values.reshape(values.shape[0], *shape) if len(shape) == 1 else values
