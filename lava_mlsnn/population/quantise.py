"""From folded float weights to the integers of one population.

All synapses of a population sum into one membrane, so they share one scale per
channel, ``S_c`` (:mod:`lava_mlsnn.population.scaling`)::

    w_int = round(w * S_c / 2**e) , bias_int = round(b * S_c) , vth_int = round(theta * S_c)

with one exponent ``e`` per synapse. A one-to-one synapse (identity shortcut) needs
the weight S_c itself: then S_c is rounded down to ``m * 2**e``, m <= 255, which is
exact and costs about 1/m of the weight resolution.
:func:`quantise` is what is exported, :func:`grid_weights` what training computes
with; both round by the same lines. Ours.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from lava_mlsnn.errors import RangeError
from lava_mlsnn.population.convolved import Steps, note_steps
from lava_mlsnn.population.scaling import (
    POWER_MAX,
    UNIT_MAX,
    Group,
    Scalar,
    Scaling,
    choose_scale,
    joined,
    known,
    nowhere,
    power_of_two,
    steep,
    sum_cap,
)
from netx_export.spec.widths import STATE_MAX

__all__ = ["Integers", "Scaling", "Sums", "grid_weights", "quantise"]


@dataclass(frozen=True)
class Integers:
    """The integer form of a population's parameters (tensors of whole numbers)."""

    weights: tuple[torch.Tensor, ...]  # one per synapse; (C,) for one-to-one ones
    exponents: tuple[int, ...]
    bias: torch.Tensor  # (C,)
    vth: torch.Tensor | None  # (C,); None without spikes
    v0: torch.Tensor | None
    scale: torch.Tensor  # float64 (C,): S_c


Rounded = tuple[torch.Tensor, Scalar]  # w_int / step, and 2**e; float64


class Sums(NamedTuple):
    """What the grid of one population follows from.

    Attributes
    ----------
    weights : sequence of Tensor or None
        Float weights per synapse before folding, first axis the output channel; None for a
        one-to-one (or pooling) synapse.
    norm_gains : sequence of Tensor or None, (C,)
        g_c of the synapse's BatchNorm; None without one.
    bias : Tensor, (C,)
        Folded bias, all synapses together.
    theta : Tensor or None
        Threshold in units of training; None for a population without spikes.
    levels : int
        N.
    """

    weights: Sequence[torch.Tensor | None]
    norm_gains: Sequence[torch.Tensor | None]
    bias: torch.Tensor
    theta: torch.Tensor | None
    levels: int


def _round_weights(
    weights: list[Sequence[torch.Tensor | None]],
    biases: Sequence[torch.Tensor],
    thetas: Sequence[Scalar | None],
    levels: Sequence[int],
    scaling: Scaling,
    ceiling: torch.Tensor | None = None,
) -> tuple[Iterator[list[Rounded | None]], Sequence[torch.Tensor]]:
    """Integer weights in steps of the grid, with their powers of two, and S_c; float64.

    Arguments as for :func:`quantise`, one of each a population; without a look at a value
    that is not :func:`known`.
    """
    tops = [[None if w is None else _largest(w) for w in own] for own in weights]
    largest, groups = [], []
    for own, bias, theta, n in zip(tops, biases, thetas, levels, strict=True):
        there = [top for top in own if top is not None]
        largest.append(functools.reduce(torch.maximum, there) if there else torch.zeros_like(bias))
        groups.append(Group(len(bias), theta, n, len(there) < len(own)))
    cap = None
    if scaling.sum_limit:
        doubles = [[w if w is None else w.double() for w in own] for own in weights]
        cap = torch.cat(
            [sum_cap(own, scaling).expand(len(b)) for own, b in zip(doubles, biases, strict=True)]
        )
    counts = [g.channels for g in groups]
    scales = choose_scale(joined(largest), joined(biases), groups, scaling, cap, ceiling).split(
        counts
    )
    return _steps(weights, tops, scales, scaling), scales


def _steps(
    weights: list[Sequence[torch.Tensor | None]],
    tops: Sequence[Sequence[torch.Tensor | None]],
    scales: Sequence[torch.Tensor],
    scaling: Scaling,
) -> Iterator[list[Rounded | None]]:
    """One population after the other, and ``weights`` is left empty: they are large."""
    limit = scaling.weight_max // scaling.step
    for index, (maxima, scale) in enumerate(zip(tops, scales, strict=True)):
        present, weights[index] = weights[index], ()
        rounded: list[Rounded | None] = []
        for w, top in zip(present, maxima, strict=True):
            if w is None or top is None:
                rounded.append(None)
                continue
            # half a grid step above the limit still rounds onto it
            power: Scalar = 1.0
            if scaling.exponents:
                power = power_of_two(known((top * scale).amax() / (scaling.weight_max + 0.5)))
            # dividing by a power of two is exact, so it may come before the product
            factor = _column(scale / (scaling.step * power), w)
            units = (w * factor if w.dtype == torch.float64 else w.double().mul_(factor)).round_()
            if not (scaling.exponents and isinstance(power, float) and power < POWER_MAX):
                units.clamp_(-limit, limit)  # else the power has seen to it
            rounded.append((units, power))
        yield rounded


def quantise(
    weights: Sequence[torch.Tensor | None],
    gains: Sequence[float],
    bias: torch.Tensor,
    theta: float | None,
    levels: int,
    v0: str,
    scaling: Scaling,
    ceiling: torch.Tensor | None = None,
) -> Integers:
    """Integers of one population.

    Parameters
    ----------
    weights : sequence of Tensor or None
        Folded float weights per synapse, first axis the output channel; None for a
        one-to-one (or pooling) synapse, whose weight is its gain.
    gains : sequence of float
        For one-to-one synapses the value of one unit of payload; else ignored.
    bias : Tensor, (C,)
        Folded float bias, all synapses together.
    theta : float or None
        Threshold in units of training; None for a population without spikes.
    levels : int
        N.
    v0 : str
        ``"floor"`` or ``"round"``.
    scaling : Scaling
        How to choose S_c.
    ceiling : Tensor, optional, (C,)
        Upper bounds of S_c, see :func:`lava_mlsnn.population.scaling.choose_scale`.

    Returns
    -------
    Integers
        On the device of ``bias``.

    Raises
    ------
    RangeError
        If a parameter is not finite, or fits no integer of its width.
    """
    bias = bias.detach().double()
    folded = [None if w is None else w.detach().double() for w in weights]
    for tensor in (bias, *(w for w in folded if w is not None)):
        if not bool(torch.isfinite(tensor).all()):
            raise RangeError("weights and biases must be finite, got NaN or infinity")
    if theta is not None and not 0 < theta < math.inf:
        raise RangeError(f"the threshold must be positive and finite, got {theta}")
    found, (scale,) = _round_weights([folded], [bias], [theta], [levels], scaling, ceiling)
    (rounded,) = found
    fallen = steep(bias) if ceiling is None else steep(bias) | ceiling.isfinite()
    ints, exponents = [], []
    for pair, gain in zip(rounded, gains, strict=True):
        if pair is None:
            w_int, e = _unit_weight(scale * gain, fallen)
        else:
            w_int, e = pair[0] * scaling.step, _log2(pair[1])
        ints.append(w_int.contiguous())  # exporters hand them on as NumPy arrays
        exponents.append(e)
    vth = start = None
    if theta is not None:
        vth = torch.round(theta * scale).clamp_min(1)
        if bool((vth > STATE_MAX).any()):
            raise RangeError(
                f"the threshold must fit 24 bits after scaling, got {float(vth.max()):.0f}; "
                "it is far above its inputs"
            )
        start = torch.floor(vth / 2) if v0 == "round" else torch.zeros_like(vth)
    bias_int = torch.round(bias * scale)
    if bool((bias_int.abs() > STATE_MAX).any()):
        raise RangeError(
            f"the bias must fit 24 bits after scaling, got {float(bias_int.abs().max()):.0f}; "
            "its BatchNorm has a tiny variance or a huge shift"
        )
    return Integers(tuple(ints), tuple(exponents), bias_int, vth, start, scale)


@torch.no_grad()
def grid_weights(populations: Sequence[Sums], scaling: Scaling) -> list[list[torch.Tensor | None]]:
    """Float weights moved onto the grid of the exported integers, before BatchNorm.

    ``w_grid = w_int * 2**e / (S_c * g_c)``, so that BatchNorm, whose gain is g_c, sees
    what the integer network computes. Nothing is checked and no value is looked at.
    Populations that are scaled alike are rounded together: what is done a channel is done
    for the channels of all of them at once.

    Parameters
    ----------
    populations : sequence of Sums
        What is to be rounded.
    scaling : Scaling
        Of all of them.

    Returns
    -------
    list of Tensor or None, a population
        In the types of the weights, kernels in channels_last as the activations. A
        channel that BatchNorm has switched off (g_c close to 0) keeps its weights.
    """
    folded: list[Sequence[torch.Tensor | None]] = []
    thetas: list[Scalar | None] = []
    for p in populations:
        # in the weight's own type first, as Synapse.folded() does
        both = zip(p.weights, p.norm_gains, strict=True)
        folded.append([w if w is None or g is None else w * _column(g, w) for w, g in both])
        theta = None if p.theta is None else known(p.theta.double())
        if isinstance(theta, float):
            theta = max(theta, sys.float_info.min)  # a logarithm that fell without end
        thetas.append(theta)
    biases, levels = [p.bias.double() for p in populations], [p.levels for p in populations]
    rounded, scales = _round_weights(folded, biases, thetas, levels, scaling)
    gained = [
        [scale if g is None else scale * g for g in p.norm_gains]
        for p, scale in zip(populations, scales, strict=True)
    ]
    unknown = [
        unit
        for p, own in zip(populations, gained, strict=True)
        for w, g, unit in zip(p.weights, p.norm_gains, own, strict=True)
        if w is not None and g is not None
    ]
    all_on = not unknown or nowhere(_off(torch.cat(unknown)))
    compiling = torch.compiler.is_compiling()
    out: list[list[torch.Tensor | None]] = []
    for p, own, pairs in zip(populations, gained, rounded, strict=True):
        out.append([])
        for w, gain, unit, pair in zip(p.weights, p.norm_gains, own, pairs, strict=True):
            if w is None or pair is None:
                out[-1].append(None)
                continue
            units, power = pair
            kernels = w.dim() == 4 and w.dtype == torch.float32 and w.is_cpu and not compiling
            steps = units.to(torch.int8) if kernels else None
            factor = scaling.step * power / unit
            layout = torch.channels_last if w.dim() == 4 else torch.contiguous_format
            grid = units.mul_(_column(factor, w)).to(w.dtype, memory_format=layout)
            off = None if gain is None or all_on else _off(unit)
            if off is not None and not nowhere(off):
                grid = torch.where(_column(off, w), w, grid)
            elif steps is not None:
                note_steps(grid, Steps(steps, factor.to(torch.float32)))
            out[-1].append(grid.contiguous(memory_format=layout))
    return out


def _off(unit: torch.Tensor) -> torch.Tensor:
    """Channels that BatchNorm has switched off."""
    return ~(unit.abs() > 1e-6)


def _largest(weight: torch.Tensor) -> torch.Tensor:
    """Largest magnitude of every output channel, (C,)."""
    axes = tuple(range(1, weight.dim()))
    return (weight.abs().amax(axes) if axes else weight.abs()).double()


def _column(per_channel: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(C,) as (C, 1, ...), to go with a weight."""
    return per_channel.reshape(-1, *[1] * (weight.dim() - 1))


def _log2(power: Scalar) -> int:
    return math.frexp(float(power))[1] - 1


def _unit_weight(value: torch.Tensor, fallen: torch.Tensor) -> tuple[torch.Tensor, int]:
    """A one-to-one weight as mantissas up to 255 and one exponent.

    Exactly, but for channels whose scale had to fall: beside what made it fall the rest
    of the weight is nothing.
    """
    for e in range(17):
        m = value / 2**e
        if bool((m != torch.floor(m))[~fallen].any()):
            break
        if bool((m <= UNIT_MAX).all()):
            return torch.floor(m), e
    raise RangeError(
        f"a one-to-one weight must be m * 2**e with m <= {UNIT_MAX}, got up to {float(value.max())}"
    )
