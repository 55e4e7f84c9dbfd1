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

import torch

from lava_mlsnn.errors import ConfigError
from netx_export.spec.widths import STATE_MAX

__all__ = [
    "UNIT_MAX",
    "Scalar",
    "Scaling",
    "choose_scale",
    "known",
    "nowhere",
    "power_of_two",
    "steep",
    "sum_cap",
]

UNIT_MAX = 255  # one-sign 8-bit weight
EXPONENT_MAX = 16
THETA_MIN = 256.0  # finer than this, rounding vth stays below 0.2 %
STATE_SHARE = 1 << 20  # vth * (levels + 1) stays an eighth of the state at most
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
        mantissa, exponent = math.frexp(min(max(1.0, x), 2.0**EXPONENT_MAX))
        return math.ldexp(1.0, exponent - (mantissa == 0.5))
    bits = (x.view(torch.int64) + MANTISSA) & ~MANTISSA  # mantissa to 0, rounding up
    return bits.view(torch.float64).clamp(1.0, 2.0**EXPONENT_MAX)


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


def choose_scale(
    largest: torch.Tensor,
    bias: torch.Tensor,
    theta: Scalar | None,
    levels: int,
    units: bool,
    scaling: Scaling,
    cap: torch.Tensor | None = None,
    ceiling: torch.Tensor | None = None,
) -> torch.Tensor:
    """S_c of every channel.

    Parameters
    ----------
    largest : Tensor, (C,), float64
        Largest folded weight magnitude (0: no weighted synapse).
    bias : Tensor, (C,), float64
        Folded bias.
    theta : Tensor, float or None
        Threshold, float64 scalar; None without spikes.
    levels : int
        N.
    units : bool
        Whether a one-to-one synapse needs the weight S_c itself: then S_c becomes
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
    caps = scaling.bias_limit / bias.abs().clamp_min(TINY)
    limit: Scalar = float(scaling.state_limit)
    if theta is not None:
        limit = scaling.state_limit * (1 / (theta * (levels + 1)))
    caps = caps.clamp_max(limit)
    if cap is not None:
        caps = torch.minimum(caps, cap)
    scale = scaling.weight_max / largest.clamp_min(TINY)
    if scaling.mode == "layer":
        scale, caps = scale.min().expand_as(scale), caps.min().expand_as(caps)
    if scaling.exponents:
        # large weights make vth small and coarse: let them carry an exponent
        needed = (THETA_MIN / (1.0 if theta is None else theta)) / _low(torch.minimum(scale, caps))
        if units:
            needed = torch.maximum(needed, scale.min().reciprocal())
        scale = scale * power_of_two(known(needed))
    scale = torch.minimum(scale, caps)
    if units:
        beyond = steep(bias)
        if ceiling is None and nowhere(beyond):
            return _unit_scale(scale, None)
        room = torch.where(beyond, caps, torch.inf)
        return _unit_scale(scale, room if ceiling is None else torch.minimum(room, ceiling))
    if ceiling is None:
        return scale
    if scaling.mode == "layer":
        ceiling = ceiling.min().expand_as(ceiling)
    return torch.minimum(scale, ceiling)


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
