"""From the file's order (C, H, W) to Lava's (W, H, C)."""

from __future__ import annotations

import numpy as np

from netx_export.spec.checks import Shape
from netx_export.spec.kernels import Pair

__all__ = ["kernel_to_lava", "pair_to_lava", "shape_to_lava"]


def shape_to_lava(shape: Shape) -> Shape:
    """(C, H, W) to (W, H, C); a flat shape stays."""
    return shape[::-1]


def pair_to_lava(pair: Pair) -> Pair:
    """(H, W) to (W, H)."""
    return pair[1], pair[0]


def kernel_to_lava(weight: np.ndarray) -> np.ndarray:
    """(O, I, kH, kW) of a cross-correlation to Lava's (O, kW, kH, I), flipped.

    Lava convolves (flips the kernel), torch correlates, so the flip cancels.
    """
    return weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
