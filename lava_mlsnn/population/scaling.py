"""How many integer units one unit of training becomes: S_c, one number a channel.

S_c is as large as 8-bit weights, the bias and the membrane allow. Everything here is
tensor arithmetic without a look at a value, so that training on a GPU never waits; on a
CPU, where looking costs nothing, numbers take the place of scalars (:func:`known`), for
the same S_c. Powers of two are exact (:func:`power_of_two`). Ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from lava_mlsnn.errors import ConfigError
from netx_export.spec.widths import STATE_MAX

__all__ = [
    "POWER_MAX",
    "UNIT_MAX",
    "Group",
    "Scalar",
    "Scaling",
    "choose_scale",
    "joined",
    "known",
    "nowhere",
    "pieces",
    "power_of_two",
    "steep",
    "sum_cap",
]

UNIT_MAX = 255  # one-sign 8-bit weight
EXPONENT_MAX = 16
THETA_MIN = 256.0  # finer than this, rounding vth stays below 0.2 %
STATE_SHARE = 1 << 20  # vth * (levels + 1) stays an eighth of the state at most
POWER_MAX = 2.0**EXPONENT_MAX
TINY = 1e-12
MANTISSA = (1 << 52) - 1  # of a float64
Scalar = torch.Tensor | float  # float64


@dataclass(frozen=True)
class Scaling:
    """How a population chooses S_c.

    Attributes
    ----------
    mode : {"channel", "layer", "fixed"}
        One scale per channel, one for all channels, or ``fixed``.
    fixed : float
        The scale of mode ``fixed`` (a power of two; 1 for sums of payloads).
    weight_bits : int
        2..8, sign included; fewer bits make a coarser grid of the same range.
    state_limit : int
        Largest allowed theta * (levels + 1).
    bias_limit : int
        Largest allowed bias magnitude.
    exponents : bool
        Whether synapses may have an exponent (stock Lava convolutions may not).
    sum_limit : int
        Bound of every possible sum plus bias; 0 sets none.
    source : (int, int)
        Smallest and largest payload that comes in, for ``sum_limit``.
    """

    mode: str = "channel"
    fixed: float = 1.0
    weight_bits: int = 8
    state_limit: int = STATE_SHARE
    bias_limit: int = 1 << 21
    exponents: bool = True
    sum_limit: int = 0
    source: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        if self.mode not in ("channel", "layer", "fixed"):
            raise ConfigError(f"mode must be 'channel', 'layer' or 'fixed', got {self.mode!r}")
        if not 2 <= self.weight_bits <= 8:
            raise ConfigError(f"weight_bits must lie in 2..8, got {self.weight_bits}")

    @classmethod
    def shared(cls, weight_bits: int = 8) -> Scaling:
        """One scale for all channels, so that class scores can be compared."""
        return cls("layer", weight_bits=weight_bits, exponents=False)

    @classmethod
    def stock(cls, weight_bits: int = 8, source: tuple[int, int] = (0, 1)) -> Scaling:
        """What stock Lava LIF can express: one threshold a layer, 13-bit bias, 17-bit sums."""
        return cls(
            "layer",
            weight_bits=weight_bits,
            state_limit=1 << 16,
            bias_limit=4095,
            exponents=False,
            sum_limit=1 << 17,
            source=source,
        )

    @property
    def step(self) -> int:
        """Grid of the integer weights (even for 8 bits: mixed sign)."""
        return int(2 ** (9 - self.weight_bits))

    @property
    def weight_max(self) -> int:
        """Largest integer weight, 254 for 8 bits."""
        return (2 ** (self.weight_bits - 1) - 1) * self.step


def known(x: torch.Tensor) -> Scalar:
    """A scalar as a number where that waits for no device: on a CPU."""
    looks = type(x) is torch.Tensor and x.is_cpu and not torch.compiler.is_compiling()
    return float(x) if looks else x


def nowhere(condition: torch.Tensor) -> bool:
    """Whether it is known that a condition holds nowhere."""
    value = known(condition.any())
    return isinstance(value, float) and value == 0.0


def power_of_two(x: Scalar) -> Scalar:
    """The smallest of 1, 2, ..., 2**16 that is at least ``x``; 2**16 above it."""
    if isinstance(x, float):
        mantissa, exponent = math.frexp(min(max(1.0, x), POWER_MAX))
        return math.ldexp(1.0, exponent - (mantissa == 0.5))
    bits = (x.view(torch.int64) + MANTISSA) & ~MANTISSA  # mantissa to 0, rounding up
    return bits.view(torch.float64).clamp(1.0, POWER_MAX)


def sum_cap(folded: Sequence[torch.Tensor | None], scaling: Scaling) -> torch.Tensor:
    """Largest S_c with which the worst sum of a channel stays below ``sum_limit``.

    Where rounding alone could fill three quarters of the limit there is no such
    scale; then the export says that the sums do not fit.
    """
    low, high = scaling.source
    worst: torch.Tensor | float = 0.0
    room = float(scaling.sum_limit - 2 * scaling.bias_limit)
    for w in folded:
        if w is not None:
            flat = w.reshape(len(w), -1)  # (C,) where one channel goes to one
            up, down = flat.clamp_min(0).sum(1), (-flat).clamp_min(0).sum(1)
            worst = worst + torch.maximum(up * high - down * low, down * high - up * low)
            room -= flat.shape[1] * scaling.step / 2 * (high - low)
    return max(room, scaling.sum_limit / 4) / torch.as_tensor(worst).clamp_min(TINY)


class Group(NamedTuple):
    """Neighbouring channels that are one population."""

    channels: int
    theta: Scalar | None  # threshold, float64; None without spikes
    levels: int
    units: bool  # whether a one-to-one synapse needs the weight S_c itself


def choose_scale(
    largest: torch.Tensor,
    bias: torch.Tensor,
    groups: Sequence[Group],
    scaling: Scaling,
    cap: torch.Tensor | None = None,
    ceiling: torch.Tensor | None = None,
) -> torch.Tensor:
    """S_c of every channel of some populations.

    Parameters
    ----------
    largest : Tensor, (C,), float64
        Largest folded weight magnitude (0: no weighted synapse).
    bias : Tensor, (C,), float64
        Folded bias.
    groups : sequence of Group
        The populations, whose channels follow one another. With ``units`` S_c becomes
        ``m * 2**e`` with m <= 255.
    scaling : Scaling
        The rules.
    cap : Tensor, optional
        A further upper bound.
    ceiling : Tensor, optional
        The same for channels whose sums would not fit, inf for others: it changes no
        other channel and may take S_c below 1, where a one-to-one synapse is lost.
    """
    if scaling.mode == "fixed":
        return torch.full_like(largest, scaling.fixed)
    # as limit / x: torch has the reciprocal times the limit for that
    caps = bias.abs().clamp_min_(TINY).reciprocal_().mul_(scaling.bias_limit)
    limits: list[Scalar] = [
        float(scaling.state_limit)
        if g.theta is None
        else scaling.state_limit * (1 / (g.theta * (g.levels + 1)))
        for g in groups
    ]
    caps = caps.clamp_max(_spread(limits, groups))
    if cap is not None:
        caps = torch.minimum(caps, cap)
    scale = largest.clamp_min(TINY).reciprocal_().mul_(scaling.weight_max)
    counts = [g.channels for g in groups]
    if scaling.mode == "layer":
        scale, caps = (
            torch.cat([x.min().expand_as(x) for x in pieces(y, counts)]) for y in (scale, caps)
        )
    if scaling.exponents:
        # large weights make vth small and coarse: let them carry an exponent
        powers = []
        bounds = pieces(torch.minimum(scale, caps), counts)
        for group, bound, present in zip(groups, bounds, pieces(scale, counts), strict=True):
            least = THETA_MIN / (1.0 if group.theta is None else group.theta)
            needed = _low(bound).reciprocal() * least
            if group.units:
                needed = torch.maximum(needed, present.min().reciprocal())
            powers.append(power_of_two(known(needed)))
        scale = scale * _spread(powers, groups)
    scale = torch.minimum(scale, caps)
    room = None
    if any(g.units for g in groups):
        beyond = steep(bias)
        if not nowhere(beyond):
            room = torch.where(beyond, caps, torch.inf)
        if ceiling is not None:
            room = ceiling if room is None else torch.minimum(room, ceiling)
    if ceiling is not None and scaling.mode == "layer":
        ceiling = torch.cat([x.min().expand_as(x) for x in pieces(ceiling, counts)])
    if room is None and ceiling is None and not any(g.units for g in groups):
        return scale
    found: list[Sequence[Any]] = [pieces(scale, counts)]
    found += [[None] * len(groups) if x is None else pieces(x, counts) for x in (room, ceiling)]
    return joined(
        [
            _unit_scale(one, rooms) if group.units else one if top is None else one.minimum(top)
            for group, one, rooms, top in zip(groups, *found, strict=True)
        ]
    )


def _spread(values: Sequence[Scalar], groups: Sequence[Group]) -> Scalar:
    """One value a group as one a channel; of a single group its own."""
    if len(values) == 1:
        return values[0]
    if all(isinstance(x, float) for x in values):
        counts = torch.tensor([g.channels for g in groups])
        return torch.tensor(values, dtype=torch.float64).repeat_interleave(counts)
    return torch.cat(
        [torch.as_tensor(x).expand(g.channels) for x, g in zip(values, groups, strict=True)]
    )


def joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Channels of several populations, one after the other."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def pieces(x: torch.Tensor, counts: Sequence[int]) -> Sequence[torch.Tensor]:
    """The reverse of :func:`joined`."""
    return [x] if len(counts) == 1 else x.split(list(counts))


def steep(bias: torch.Tensor) -> torch.Tensor:
    """Channels whose bias does not fit even with S_c = 1."""
    return bias.abs() > STATE_MAX


def _low(x: torch.Tensor) -> torch.Tensor:
    """The 10 % quantile."""
    rank = 0.1 * (len(x) - 1)
    ordered, below = x.sort().values, int(rank)
    if rank == below:
        return ordered[below]
    return torch.lerp(ordered[below], ordered[below + 1], rank - below)


def _unit_scale(scale: torch.Tensor, ceiling: torch.Tensor | None) -> torch.Tensor:
    """``m * 2**e`` below S_c, 1 <= m <= 255, with the one e that loses least.

    Where not even 2**e is below the ceiling, the ceiling itself.
    """
    exponents = torch.arange(1023, 1024 + EXPONENT_MAX, device=scale.device)
    powers = (exponents << 52).view(torch.float64)  # 1, 2, ..., 2**16, exactly
    tried = scale / powers[:, None]
    # an exponent that leaves a channel m = 0 costs infinitely much
    cost = (tried / tried.floor().clamp_(max=UNIT_MAX)).square_().mean(1)
    best = powers.gather(0, cost.argmin(0, keepdim=True))
    whole = (scale / best).floor_().clamp_(1, UNIT_MAX).mul_(best)
    if ceiling is None:
        return whole
    lower = (ceiling / best).floor_().mul_(best)
    lower = torch.where(lower > 0, lower, ceiling)
    return torch.where(whole > ceiling, lower, whole)
