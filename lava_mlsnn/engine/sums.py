"""The exact sum of one synapse, in floats that hold it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.engine.int8 import EXACT, pack_sum
from lava_mlsnn.engine.payload import plain
from lava_mlsnn.engine.probe import sums_exact
from lava_mlsnn.engine.weights import Arm, arm_of, halved, inside, ordinary
from netx_export.exact_settings import written_whole
from netx_export.spec import Conv, ConvTranspose, Dense, Identity, Synapse
from netx_export.spec.kernels import conv_output_size

__all__ = ["SUMS", "Sum", "Weighted", "weighted_sum"]

Sum = Callable[[torch.Tensor], torch.Tensor]

LARGE = 1 << 18  # products of a map from which an 8-bit operator is worth its call


def weighted_sum(
    arm: Arm,
    shape: tuple[int, ...],
    byte: bool,
    bound: int,
    dtype: torch.dtype,
    whole: bool = True,
) -> Sum:
    """A function from payloads to ``floor(W x * 2**exponent)``, a fresh tensor.

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
        Float type of the result; must hold ``bound``.
    whole : bool
        Round a negative exponent down, as integers do.
    """
    up, down = max(arm.exponent, 0), min(arm.exponent, 0)
    worth = byte and bound < EXACT and _products(arm, shape) >= LARGE and ordinary(arm)
    small = halved(arm.weight) if worth else None
    packed = pack_sum(arm, small[0], small[1] << up) if small and sums_exact() else None
    inner = packed or _window_sum(arm, shape, bound, up) or _float_sum(arm, bound, up)

    return Weighted(inner, dtype, down, whole, inner is packed)


@dataclass(frozen=True)
class Weighted:
    """A sum in its type, with its exponent; ``opaque``: by an operator that no graph can hold."""

    inner: Sum
    dtype: torch.dtype
    down: int
    whole: bool
    opaque: bool

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Of payloads, a fresh tensor."""
        return _lowered(self.inner(x).to(self.dtype), self.down, self.whole)


def _lowered(a: torch.Tensor, down: int, whole: bool) -> torch.Tensor:
    if down:
        a = a.mul_(2.0**down)
        if whole:
            a = a.floor_()
    return a


def _products(arm: Arm, shape: tuple[int, ...]) -> int:
    """Multiplications for one map."""
    if len(shape) == 1:
        return arm.weight.size
    kernel = (arm.weight.shape[2], arm.weight.shape[3])
    h, w = conv_output_size(shape[1:], kernel, arm.stride, arm.padding, arm.dilation)  # type: ignore[arg-type]
    return arm.weight.size * h * w


def _window_sum(arm: Arm, shape: tuple[int, ...], bound: int, up: int) -> Sum | None:
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


def _float_sum(arm: Arm, bound: int, up: int) -> Sum:
    # float64 does not run through oneDNN
    wide = torch.float32 if bound < EXACT and inside(arm) else torch.float64
    weight = torch.from_numpy(arm.weight).to(wide).mul_(2.0**up)
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
    *_, bound, dtype, whole = where
    up, down = max(synapse.weight_exp, 0), min(synapse.weight_exp, 0)
    form = synapse.geometry
    within = all(
        p <= d * (k - 1) for p, d, k in zip(form.padding, form.dilation, form.kernel, strict=True)
    )
    wide = torch.float32 if bound < EXACT and within else torch.float64
    weight = torch.from_numpy(synapse.weight.copy()).to(wide).mul_(2.0**up)
    pairs = list(form.stride), list(form.padding), list(form.output_padding)
    geometry = (*pairs, form.groups, list(form.dilation))

    def total(x: torch.Tensor) -> torch.Tensor:
        a = F.conv_transpose2d(plain(x).to(wide), weight, None, *geometry)
        return _lowered(a.to(dtype), down, whole)

    return total


def _gain(synapse: Identity, *where: Any) -> Sum:
    *_, dtype, whole = where
    gain = torch.from_numpy(synapse.weight.astype(np.float64)).reshape(-1, 1, 1)
    up, down = max(synapse.weight_exp, 0), min(synapse.weight_exp, 0)
    gain = gain.mul_(float(1 << up)).to(dtype)

    def scaled(x: torch.Tensor) -> torch.Tensor:
        return _lowered(plain(x).to(dtype) * gain, down, whole)

    return scaled


# shape of the source, whether it sends bytes, bound of the sum, float type, whole numbers
SUMS: dict[type, Callable[..., Sum]] = {
    Conv: _weighted,
    ConvTranspose: _transposed,
    Dense: _weighted,
    Identity: _gain,
}
