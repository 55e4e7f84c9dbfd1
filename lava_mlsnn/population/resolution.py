"""What rounding leaves of a population's weights, beside what it leaves of payloads.

A channel sums ``w_i z_i`` over its inputs i. Its weights lie on a grid of steps g_i in units of
1/S (``2**e`` times the step of :class:`Scaling`), with rounding errors d_i. Payloads reach z_i,
sums of m_i neurons of n_i levels (behind a pool), else m_i = 1. The largest term has

    M = max |w_i| S n_i / rms(g_i n_i)

steps. A full grid of 8 bits has 127, so log2(127 / M) bits are lost: thresholds, biases or sums
of 24 bits took them, or inputs of the same population whose levels are far fewer.

A loss counts from one bit, and where half the levels before the layer would be closer. They
leave a bit more of the weights, a quarter of the power of their rounding, and make that of
payloads four times as large. With payloads spread evenly over 0..z_i, and rounding errors of
neurons over one unit (of the sum: over one threshold), they help where

    sum d_i^2 z_i^2 / 3  >  4 (sum m_i (w_i S)^2 + vth^2) / 12

So nothing counts where weights have as many bits as payloads, are tiny beside their threshold,
or lie on the grid. Ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from lava_mlsnn.population.quantise import Integers
from lava_mlsnn.population.scaling import Scaling
from netx_export.builder import Sent

__all__ = ["lost_bits"]

CHUNK = 1 << 19  # weights at a time: they stay in the cache


@torch.no_grad()
def lost_bits(
    weights: Sequence[torch.Tensor | None], ints: Integers, sent: list[Sent], scaling: Scaling
) -> torch.Tensor:
    """Bits that rounding takes from the weights of every channel, where it counts.

    Parameters
    ----------
    weights : sequence of Tensor or None
        Folded float weights per synapse; None for a one-to-one (or pooling) synapse.
    ints : Integers
        What they became.
    sent : list of Sent
        What the source of each synapse sends.
    scaling : Scaling
        By which they were made; of mode "layer" all channels are one.

    Returns
    -------
    Tensor of float64, (C,)
        0 or at least 1; ``scaling.weight_bits`` and more where no weight is left.
    """
    channels = len(ints.scale)
    top = ints.scale.new_zeros(channels)  # of terms
    grid, terms, noise, payload = (torch.zeros_like(top) for _ in range(4))
    for w, whole, e, source in zip(weights, ints.weights, ints.exponents, sent, strict=True):
        power = 2.0**e
        if w is None:  # exact
            payload += (whole * power).square()
            continue
        low, high = source.bounds
        reach, levels = (
            torch.from_numpy(x).to(top) for x in (np.maximum(-low, high), source.levels)
        )
        for rows in _chunks(w):
            units = w[rows].double().flatten(1) if w.dim() > 1 else w[rows].double()[:, None]
            units = units * ints.scale[rows, None]
            z, n = (_per_weight(x, w, rows) for x in (reach, levels))
            there = (units != 0) & (z > 0)
            top[rows] = torch.maximum(top[rows], (units.abs() * n * there).amax(1))
            grid[rows] += (scaling.step * power * n * there).square().sum(1)
            terms[rows] += there.sum(1)
            lost = whole[rows].reshape(units.shape) * power - units
            noise[rows] += (lost * z).square().sum(1)
            payload[rows] += (units.square() * (z / n.clamp_min(1)).clamp_min(1) * there).sum(1)
    if ints.vth is not None:
        payload += ints.vth.square()
    if scaling.mode == "layer":
        top = top.amax().expand(channels)
        grid, terms, noise, payload = (
            x.sum().expand(channels) for x in (grid, terms, noise, payload)
        )
    full = scaling.weight_max / scaling.step
    bits = torch.log2(full / top * (grid / terms.clamp_min(1)).sqrt())
    counts = (noise > payload) & (bits >= 1)
    return torch.where(counts, bits, 0.0)


def _chunks(weight: torch.Tensor) -> Iterator[slice]:
    """Rows that are few enough."""
    some = max(1, CHUNK // weight[0].numel())
    return (slice(k, min(k + some, len(weight))) for k in range(0, len(weight), some))


def _per_weight(z: torch.Tensor, weight: torch.Tensor, rows: slice) -> torch.Tensor:
    """The payload that every weight of some rows meets, flattened as they are."""
    if weight.dim() == 1:  # one to one
        return z[rows, None]
    inner = weight.shape[1]
    group = torch.arange(rows.start, rows.stop, device=z.device) * (len(z) // inner) // len(weight)
    return z.reshape(-1, inner)[group].repeat_interleave(weight[0, 0].numel(), 1)
