"""The exact sum of one synapse, added to floats that hold it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.engine.int8 import EXACT, pack_sum
from lava_mlsnn.engine.payload import empty, plain
from lava_mlsnn.engine.probe import sums_exact
from lava_mlsnn.engine.weights import Arm, arm_of, halved, inside, ordinary
from netx_export.exact_settings import written_whole
from netx_export.spec import Conv, ConvTranspose, Dense, Identity, Synapse
from netx_export.spec.kernels import conv_output_size

__all__ = ["SUMS", "Packed", "Sum", "silence", "weighted_sum"]

Sum = Callable[[torch.Tensor, torch.Tensor], Any]  # adds that of payloads to its second argument
Fresh = Callable[[torch.Tensor], torch.Tensor]  # that of payloads alone

LARGE = 1 << 18  # products of a map from which an 8-bit operator is worth its call


def weighted_sum(
    arm: Arm,
    shape: tuple[int, ...],
    byte: bool,
    bound: int,
    dtype: torch.dtype,
    whole: bool = True,
) -> Sum:
    """A function that adds ``floor(W x * 2**exponent)`` of payloads x to a total.

    Parameters
    ----------
    arm : Arm
        Weights, exponent and geometry.
    shape : tuple of int
        (C, H, W) or (F,) of the source.
    byte : bool
        Whether the payloads are bytes.
    bound : int
        Largest magnitude of a sum, before and after its exponent.
    dtype : torch.dtype
        Float type of the total; must hold ``bound``.
    whole : bool
        Round a negative exponent down, as integers do.
    """
    up, down = max(arm.exponent, 0), min(arm.exponent, 0)
    worth = byte and bound < EXACT and _products(arm, shape) >= LARGE and ordinary(arm)
    small = halved(arm.weight) if worth else None
    if small and sums_exact():
        packed = pack_sum(arm, small[0], small[1] << up)
        if dtype == torch.float32 and not down:
            return Packed(packed)
        return Packed(
            lambda x, total: _add(packed(x, silence(arm, shape, len(x))), total, down, whole)
        )
    inner = _window_sum(arm, shape, bound, up) or _float_sum(arm, bound, up)
    return lambda x, total: _add(inner(x), total, down, whole)


@dataclass(frozen=True)
class Packed:
    """A sum by an operator that no graph can hold."""

    add: Sum

    def __call__(self, x: torch.Tensor, total: torch.Tensor) -> None:
        """Add it to a total."""
        self.add(x, total)


def _add(a: torch.Tensor, total: torch.Tensor, down: int, whole: bool) -> None:
    """Add sums, which are overwritten, with their exponent below 0."""
    if down:
        a = a.to(total.dtype).mul_(2.0**down)
        if whole:
            a = a.floor_()
    total.add_(a)


def silence(arm: Arm, shape: tuple[int, ...], count: int) -> torch.Tensor:
    """Sums of so many maps in which nothing arrives, float32, to add to."""
    return empty((count, len(arm.weight), *_size(arm, shape)), torch.float32).zero_()


def _size(arm: Arm, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of the sums of one map."""
    kernel = (arm.weight.shape[2], arm.weight.shape[3])
    h, w = shape[1:] if len(shape) == 3 else (1, 1)
    return conv_output_size((h, w), kernel, arm.stride, arm.padding, arm.dilation)


def _products(arm: Arm, shape: tuple[int, ...]) -> int:
    """Multiplications for one map."""
    h, w = _size(arm, shape)
    return arm.weight.size * h * w


def _window_sum(arm: Arm, shape: tuple[int, ...], bound: int, up: int) -> Fresh | None:
    """Sum over the whole map, one channel to one channel: a global pool."""
    weight = arm.weight
    whole = weight.shape[2:] == tuple(shape[1:]) and arm.padding == (0, 0)
    alone = weight.shape[1] == 1 and arm.groups == weight.shape[0] == shape[0]
    if not (whole and alone) or np.any(weight != weight[:, :, :1, :1]) or bound >= EXACT:
        return None
    gain = torch.from_numpy(weight[:, 0, :1, :1].copy()).float().mul_(2.0**up)

    def total(x: torch.Tensor) -> torch.Tensor:
        return plain(x).sum((2, 3), keepdim=True, dtype=torch.float32).mul_(gain)

    return total


def _floats(weight: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    """A copy in C order: torch's operators do not all look at strides."""
    kind = np.float32 if dtype == torch.float32 else np.float64
    return torch.from_numpy(weight.astype(kind, order="C"))


def _float_sum(arm: Arm, bound: int, up: int) -> Fresh:
    # float64 does not run through oneDNN
    wide = torch.float32 if bound < EXACT and inside(arm) else torch.float64
    weight = _floats(arm.weight, wide).mul_(2.0**up)
    matrix = weight.flatten(1)
    flat = weight.shape[2:] == (1, 1) and arm.padding == (0, 0) and arm.groups == 1
    weight = weight.contiguous(memory_format=torch.channels_last)
    geometry = (list(arm.stride), list(arm.padding), list(arm.dilation), arm.groups)
    kernel = (weight.shape[2], weight.shape[3])

    def total(x: torch.Tensor) -> torch.Tensor:
        x = plain(x).to(wide)
        if flat and x.shape[2:] == (1, 1):
            return F.linear(x.flatten(1), matrix)[:, :, None, None]
        width = conv_output_size(x.shape[2:], kernel, arm.stride, arm.padding, arm.dilation)[1]  # type: ignore[arg-type]
        x, whole = written_whole(x, weight, width)
        return F.conv2d(x, whole, None, *geometry)

    return total


def _weighted(synapse: Synapse, *where: Any) -> Sum:
    return weighted_sum(arm_of(synapse), *where)


def _transposed(synapse: ConvTranspose, *where: Any) -> Sum:
    *_, bound, _, whole = where
    up, down = max(synapse.weight_exp, 0), min(synapse.weight_exp, 0)
    form = synapse.geometry
    within = all(
        p <= d * (k - 1) for p, d, k in zip(form.padding, form.dilation, form.kernel, strict=True)
    )
    wide = torch.float32 if bound < EXACT and within else torch.float64
    weight = _floats(synapse.weight, wide).mul_(2.0**up)
    pairs = list(form.stride), list(form.padding), list(form.output_padding)
    geometry = (*pairs, form.groups, list(form.dilation))

    def add(x: torch.Tensor, total: torch.Tensor) -> None:
        a = F.conv_transpose2d(plain(x).to(wide), weight, None, *geometry)
        _add(a, total, down, whole)

    return add


def _gain(synapse: Identity, *where: Any) -> Sum:
    *_, dtype, whole = where
    gain = torch.from_numpy(synapse.weight.astype(np.float64)).reshape(-1, 1, 1)
    up, down = max(synapse.weight_exp, 0), min(synapse.weight_exp, 0)
    gain = gain.mul_(float(1 << up)).to(dtype)

    def add(x: torch.Tensor, total: torch.Tensor) -> None:
        a = plain(x).to(dtype)
        if down:
            _add(a * gain, total, down, whole)
        else:
            total.addcmul_(a, gain)

    return add


# shape of the source, whether it sends bytes, bound of the sum, float type, whole numbers
SUMS: dict[type, Callable[..., Sum]] = {
    Conv: _weighted,
    ConvTranspose: _transposed,
    Dense: _weighted,
    Identity: _gain,
}
