"""How many connections leave each neuron of a synapse's source, exactly.

A convolution's input (c, y, x) meets output (o, v, u) through tap (i, j) if

    v * stride_h - padding_h + i * dilation_h = y,   u * stride_w - padding_w + j * dilation_w = x

and o belongs to c's group. With r_h[i, y] and r_w[j, x] the number of such v and u (0 or 1),

    fan_out[c, y, x] = sum over i, j of n[c, i, j] * r_h[i, y] * r_w[j, x]

where n[c, i, j] counts the output channels of c's group. Borders therefore count what
they have, and padding counts nothing.
"""

from __future__ import annotations

import numpy as np

from netx_export.spec import Conv, Dense, Identity, Shape, Synapse

__all__ = ["connections", "fan_out"]


def fan_out(synapse: Synapse, source: Shape, nonzero: bool = False) -> np.ndarray:
    """Connections of every source neuron through one synapse.

    Parameters
    ----------
    synapse : Conv, Dense or Identity
        The synapse.
    source : tuple of int
        Shape (C, H, W) or (F,) that it reads.
    nonzero : bool
        Count only connections whose weight is not 0; else every one that the geometry
        has, as hardware that stores a kernel or a matrix whole walks through it.

    Returns
    -------
    ndarray of int64, shape ``source``
        Counts. Source: ours.

    Raises
    ------
    FormatError
        If the synapse does not fit the source.
    """
    target = synapse.output_shape(source)
    if isinstance(synapse, Identity):
        per_channel = (synapse.weight != 0) if nonzero else np.ones(source[0], bool)
        shape = (-1, *(1 for _ in source[1:]))
        return np.broadcast_to(per_channel.astype(np.int64).reshape(shape), source).copy()
    if isinstance(synapse, Dense):
        if nonzero:
            return np.count_nonzero(synapse.weight, axis=0).astype(np.int64)
        return np.full(source, synapse.weight.shape[0], np.int64)
    assert isinstance(synapse, Conv)
    rows = _reached(synapse, source, target, 0)
    columns = _reached(synapse, source, target, 1)
    taps = _channels(synapse, source[0], nonzero)
    return np.einsum("cij,iy,jx->cyx", taps, rows, columns, optimize=True)


def connections(synapse: Synapse, source: Shape, nonzero: bool = False) -> int:
    """Sum of :func:`fan_out` over the source: synapses that exist, borders taken off."""
    return int(fan_out(synapse, source, nonzero).sum())


def _reached(synapse: Conv, source: Shape, target: Shape, axis: int) -> np.ndarray:
    """r[k, position]: whether tap k carries an input position to some output (0 or 1)."""
    size, out, taps = source[1 + axis], target[1 + axis], synapse.weight.shape[2 + axis]
    reached = np.zeros((taps, size), np.int64)
    places = np.arange(out) * synapse.stride[axis] - synapse.padding[axis]
    for k in range(taps):
        at = places + k * synapse.dilation[axis]
        reached[k, at[(at >= 0) & (at < size)]] = 1
    return reached


def _channels(synapse: Conv, channels: int, nonzero: bool) -> np.ndarray:
    """n[c, i, j]: output channels that input channel c meets through tap (i, j)."""
    weight, groups = synapse.weight, synapse.groups
    if not nonzero:
        count = weight.shape[0] // groups
        return np.full((channels, *weight.shape[2:]), count, np.int64)
    stored = (weight != 0).reshape(groups, -1, *weight.shape[1:])
    return stored.sum(axis=1, dtype=np.int64).reshape(channels, *weight.shape[2:])
