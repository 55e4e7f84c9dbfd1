"""What a synapse of a network file adds to its population, in exact integers (NumPy)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netx_export.spec.kernels import conv2d, dense, exact_dtype
from netx_export.spec.widths import shift

if TYPE_CHECKING:
    from netx_export.spec import Synapse

__all__ = ["synapse_sum"]


def synapse_sum(synapse: Synapse, x: np.ndarray) -> np.ndarray:
    """Sums of payloads (N, *source shape), exponent applied, not cut to 24 bits: int64."""
    from netx_export.spec import Conv, Dense

    largest = int(np.abs(x).max(initial=0))
    if isinstance(synapse, Conv):
        a = conv2d(
            x,
            synapse.weight,
            synapse.stride,
            synapse.padding,
            synapse.dilation,
            synapse.groups,
            exact_dtype(synapse.weight, largest),
        )
    elif isinstance(synapse, Dense):
        a = dense(x, synapse.weight, exact_dtype(synapse.weight, largest))
    else:
        a = x * synapse.weight.astype(np.int64).reshape((-1,) + (1,) * (x.ndim - 2))
    return shift(a, synapse.weight_exp)
