"""Exact integer convolution and dense products in NumPy.

Sums run through BLAS in the narrowest float that holds every partial sum
exactly: float32 below 2**24, float64 below 2**53. One im2col and one matrix
product a group; the runner and the Lava synapses share them.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

__all__ = ["conv2d", "conv_output_size", "correlate", "dense", "exact_dtype"]

Pair = tuple[int, int]


def exact_dtype(weight: np.ndarray, largest_input: int) -> type[np.floating]:
    """The float type in which ``sum(w * x)`` is exact for ``|x| <= largest_input``.

    Parameters
    ----------
    weight : ndarray of int
        First axis is the output channel; the others are summed over.
    largest_input : int
        Largest magnitude of an input payload.
    """
    rows = weight.reshape(weight.shape[0], -1)
    bound = max(int(rows.max()), -int(rows.min())) * rows.shape[1] * largest_input
    if bound >= 1 << 24:  # only then is it worth a closer look
        bound = int(np.abs(rows).sum(axis=1).max()) * largest_input
    return np.float32 if bound < 1 << 24 else np.float64


def conv_output_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """(H, W) after a convolution: ``floor((size + 2p - d(k-1) - 1) / s) + 1``."""
    out = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    ]
    return out[0], out[1]


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    dtype: type[np.floating] | None = None,
) -> np.ndarray:
    """Cross-correlation of integers, as torch's ``conv2d``.

    Parameters
    ----------
    x : ndarray, (N, C_in, H, W)
        Integer payloads.
    weight : ndarray, (C_out, C_in / groups, kH, kW)
        Integer weights.
    stride, padding, dilation : (int, int)
        In (H, W) order.
    groups : int
        Number of groups.
    dtype : float type, optional
        From :func:`exact_dtype`; float64 if not given.

    Returns
    -------
    ndarray of int64, (N, C_out, H_out, W_out)
    """
    dtype = dtype or np.float64
    return correlate(x, weight, stride, padding, dilation, groups, dtype).astype(np.int64)


def correlate(
    x: np.ndarray,
    weight: np.ndarray,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    dtype: type[np.floating],
) -> np.ndarray:
    """:func:`conv2d` on floating numbers: the sums stay in ``dtype``."""
    n, c_in, height, width = x.shape
    c_out, c_group, k_h, k_w = weight.shape
    out_h, out_w = conv_output_size((height, width), (k_h, k_w), stride, padding, dilation)
    padded = np.zeros((n, c_in, height + 2 * padding[0], width + 2 * padding[1]), dtype)
    padded[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = x
    span = (dilation[0] * (k_h - 1) + 1, dilation[1] * (k_w - 1) + 1)
    windows = sliding_window_view(padded, span, axis=(2, 3))  # type: ignore[call-overload]
    windows = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    grouped = windows.reshape(n, groups, c_group, out_h, out_w, k_h, k_w)
    columns = grouped.transpose(1, 0, 3, 4, 2, 5, 6).reshape(groups, n * out_h * out_w, -1)
    kernels = weight.reshape(groups, c_out // groups, -1).astype(dtype).transpose(0, 2, 1)
    out = np.matmul(columns, kernels).reshape(groups, n, out_h, out_w, c_out // groups)
    return out.transpose(1, 0, 4, 2, 3).reshape(n, c_out, out_h, out_w)


def dense(x: np.ndarray, weight: np.ndarray, dtype: type[np.floating] | None = None) -> np.ndarray:
    """``x @ weight.T`` of integers: (N, I) and (O, I) to int64 (N, O)."""
    dtype = dtype or np.float64
    return np.matmul(x.astype(dtype), weight.T.astype(dtype)).astype(np.int64)
