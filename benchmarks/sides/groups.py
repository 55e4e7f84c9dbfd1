"""One layer that skips groups of four channels in which all payloads are 0, in C."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import SideError
from benchmarks.sides.native import aligned, compiled, pointer

__all__ = ["BLOCK", "Groups", "group_density"]

BLOCK = 64  # outputs at a time


def group_density(z: np.ndarray) -> float:
    """Share of the groups of four channels, (B, C, H, W), that are not all 0."""
    b, c, h, w = z.shape
    return float((z != 0).reshape(b, c // 4, 4, h, w).any(2).mean())


class Groups:
    """A convolution with multi-level neurons at T = 1, and perhaps an identity shortcut.

    Parameters
    ----------
    layer : Population
        Of at most one convolution and one identity shortcut of the threshold's weight.
    source : tuple of int
        (C, H, W) of the convolution's source.
    folder : Path
        Where it is compiled.
    """

    def __init__(self, layer: Any, source: tuple[int, ...], folder: Path) -> None:
        from lava_mlsnn.engine.weights import halved
        from netx_export.spec import Conv

        (conv,) = (s for s in layer.synapses if isinstance(s, Conv))
        small = halved(conv.weight)
        out, inner, kh, kw = conv.weight.shape
        if small is None or out % BLOCK or inner % 4 or conv.groups != 1 or conv.weight_exp < 0:
            raise SideError("this layer has no form by groups")
        packed = small[0].transpose(0, 2, 3, 1).reshape(out // BLOCK, BLOCK, kh * kw, inner // 4, 4)
        self._weight = aligned(packed.transpose(0, 2, 3, 1, 4))
        channels = np.ones(out, np.int64)
        bias = channels * layer.neuron.v0 + (0 if layer.bias is None else layer.bias)
        self._vth, self._bias = ((channels * v).astype(np.int32) for v in (layer.neuron.vth, bias))
        self._inverse = (1 / self._vth).astype(np.float32)
        self._shape = layer.shape
        sizes = (*source[1:], inner // 4, *layer.shape[1:], kh, kw, conv.stride[0])
        unit = small[1] << conv.weight_exp
        rest = (conv.padding[0], out, layer.neuron.levels, unit)
        self._geometry = np.array([*sizes, *rest], np.int32)
        self._library = compiled("groups.c", folder)

    def __call__(self, x: np.ndarray, shortcut: np.ndarray | None, z: np.ndarray) -> None:
        """Payloads (B, H, W, C) to payloads in ``z``, all of them contiguous bytes."""
        arrays = (self._weight, self._inverse, self._vth, self._bias, shortcut, z)
        count = ctypes.c_int64(len(x))
        pointers = map(pointer, arrays)
        if self._library.layer(pointer(x), count, pointer(self._geometry), *pointers):
            raise SideError("this machine has no AVX-512 VNNI")

    def empty(self, count: int) -> np.ndarray:
        """Room for the payloads of so many maps, (B, H, W, C)."""
        c, h, w = self._shape
        return np.empty((count, h, w, c), np.uint8)
