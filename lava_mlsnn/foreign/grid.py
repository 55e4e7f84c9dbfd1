"""The grid on which another library's floats and our integers are the same numbers.

Every channel c has a unit 2**-k_c, so that its weights, bias and threshold are whole numbers
of it, and as floats exact::

    w = w_int * 2**e / 2**k_c / unit        b = b_int / 2**k_c        theta = vth_c / 2**k_c

``unit`` is what one payload of the source is worth (1 for a spike). Weights are even and at
most 254, so that k_c loses up to one bit of what a free scale would keep. Whole numbers that
fit 24 bits are exact in float32, in whatever order a library adds them: so both compute the
same, comparisons at the very threshold included. Ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lava_mlsnn.errors import RangeError
from lava_mlsnn.foreign.neurons import Rule

__all__ = ["Grid", "to_grid"]

WEIGHT_MAX = 127  # of a signed 8-bit weight, whose lowest bit is 0
EXPONENT_MAX = 16
THETA_MIN = 8  # bits of the coarsest threshold
STATE_BITS = 20  # that thresholds and biases may take
SPREAD = 7  # bits between the scales of channels that a one-to-one synapse reaches


@dataclass(frozen=True)
class Grid:
    """Integers of one population (float64 tensors of whole numbers), and their unit.

    Attributes
    ----------
    weights : list of Tensor or None
        First axis the output channel; None for a one-to-one synapse.
    exponents : list of int
        Of all synapses.
    gains : list of Tensor
        Weights of one-to-one synapses, (C,).
    bias : Tensor, (C,)
        Whole numbers.
    k : Tensor, (C,)
        log2 of the units in 1.
    theta : float
        The threshold on the grid; 0 without one.
    """

    weights: list[torch.Tensor | None]
    exponents: list[int]
    gains: list[torch.Tensor | None]
    bias: torch.Tensor
    k: torch.Tensor
    theta: float

    @property
    def vth(self) -> torch.Tensor:
        """Thresholds, (C,)."""
        return self.theta * 2.0**self.k


def to_grid(
    weights: Sequence[torch.Tensor | None],
    units: Sequence[float],
    bias: torch.Tensor,
    rule: Rule | None,
) -> Grid:
    """Round one population to its grid.

    Parameters
    ----------
    weights : sequence of Tensor or None
        BatchNorm folded in, float64, per unit of the source; None: one-to-one.
    units : sequence of float
        What one payload of each source is worth, powers of two.
    bias : Tensor, (C,)
        All synapses together, float64.
    rule : Rule or None
        Of the neuron; None: a readout, whose channels share one unit.
    """
    known = [w for w in weights if w is not None]
    if not all(bool(torch.isfinite(t).all()) for t in (bias, *known)):
        raise RangeError("weights and biases must be finite, got NaN or infinity")
    scaled = [None if w is None else w * u for w, u in zip(weights, units, strict=True)]
    largest = torch.zeros_like(bias)
    for w in scaled:
        if w is not None:
            largest = torch.maximum(largest, w.abs().flatten(1).amax(1))
    k = _finest(largest)
    if rule is None:
        k = k.amin().expand_as(k)
    shift = 0.0
    if rule is not None:
        shift = max(THETA_MIN - math.floor(math.log2(rule.theta)) - float(k.min()), 0.0)
    shift = min(max(shift, *(-math.log2(u) - float(k.min()) for u in units)), float(EXPONENT_MAX))
    k = k + shift
    top = STATE_BITS - torch.log2(bias.abs().clamp_min(2.0**-40)).ceil()
    if rule is not None:
        many = min(rule.levels, 1 << 8) + 1
        top = top.clamp_max(STATE_BITS - math.ceil(math.log2(rule.theta * many)))
    k = torch.minimum(k, top)
    if any(w is None for w in weights):
        k = k.clamp_max(float(k.min()) + SPREAD)
    if rule is None:
        k = k.amin().expand_as(k)
    theta = 0.0 if rule is None else _threshold(rule.theta, 2.0 ** float(k.min()))
    rounded: list[torch.Tensor | None] = []
    gains: list[torch.Tensor | None] = []
    exponents: list[int] = []
    for w, u in zip(scaled, units, strict=True):
        if w is None:
            e = int(min(max(float(k.min()) + math.log2(u), 0), EXPONENT_MAX))
            gain = u * 2.0 ** (k - e)
            if float(gain.min()) < 1 or float(gain.max()) > 2 * WEIGHT_MAX:
                raise RangeError("a shortcut of spikes is too large or too small for its weights")
            gains.append(gain)
            rounded.append(None)
        else:
            highest = float((w.abs() * 2.0 ** _column(k, w)).max())
            e = min(_exponent(highest), EXPONENT_MAX)
            whole = torch.round(w * 2.0 ** (_column(k, w) - e - 1)).clamp(-WEIGHT_MAX, WEIGHT_MAX)
            rounded.append(2 * whole)
            gains.append(None)
        exponents.append(e)
    return Grid(rounded, exponents, gains, torch.round(bias * 2.0**k), k, theta)


def _finest(largest: torch.Tensor) -> torch.Tensor:
    """The largest k with largest * 2**k / 2 below WEIGHT_MAX + 1/2; of the others where 0."""
    k = torch.floor(torch.log2((2 * WEIGHT_MAX + 1) / largest.clamp_min(2.0**-60)))
    k = torch.where(largest * 2.0**k >= 2 * WEIGHT_MAX + 1, k - 1, k)
    alive = largest > 2.0**-40
    if not bool(alive.any()):
        return torch.zeros_like(k)
    return torch.where(alive, k, k[alive].max())


def _threshold(theta: float, units: float) -> float:
    whole = round(theta * units)
    if whole < 1:
        raise RangeError(f"the threshold {theta} is far below the weights; it rounds to 0")
    return whole / units


def _exponent(largest: float) -> int:
    """The least e >= 0 with which weights up to ``largest`` units fit."""
    e = 0
    while largest >= (2 * WEIGHT_MAX + 1) * 2.0**e:
        e += 1
    return e


def _column(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))
