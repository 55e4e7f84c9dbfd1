"""From folded float weights to the integers of one population.

All synapses of a population sum into one membrane, so they share one scale per
channel, ``S_c`` (integer units per unit of training)::

    w_int = round(w * S_c / 2**e) , bias_int = round(b * S_c) , vth_int = round(theta * S_c)

with one exponent ``e`` per synapse. S_c is as large as the 8-bit weights allow.
A one-to-one synapse (identity shortcut) needs the weight S_c itself: then S_c is
rounded down to ``m * 2**e``, m <= 255, which is exact and costs about 1/m of the
weight resolution (DESIGN.md, "Sparse-ResNet"). Ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lava_mlsnn.errors import ConfigError, RangeError
from lava_mlsnn.integer.bits import STATE_MAX

__all__ = ["Integers", "Scaling", "quantise"]

UNIT_MAX = 255  # one-sign 8-bit weight
THETA_MIN = 256.0  # finer than this, rounding vth stays below 0.2 %
STATE_SHARE = 1 << 20  # vth * (levels + 1) stays an eighth of the state at most


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


@dataclass(frozen=True)
class Integers:
    """The integer form of a population's parameters (tensors of whole numbers)."""

    weights: tuple[torch.Tensor, ...]  # one per synapse; (C,) for one-to-one ones
    exponents: tuple[int, ...]
    bias: torch.Tensor  # (C,)
    vth: torch.Tensor | None  # (C,); None without spikes
    v0: torch.Tensor | None
    scale: torch.Tensor  # float64 (C,): S_c


def _unit_exponent(scale: torch.Tensor) -> int:
    """The exponent e that loses least when S_c becomes ``m * 2**e``, 1 <= m <= 255."""
    best, best_cost = 0, float("inf")
    for e in range(17):
        m = torch.floor(scale / 2**e).clamp(max=UNIT_MAX)
        if bool((m < 1).any()):
            break
        cost = float(((scale / (m * 2**e)) ** 2).mean())
        if cost < best_cost:
            best, best_cost = e, cost
    return best


def _sum_cap(folded: Sequence[torch.Tensor | None], scaling: Scaling) -> torch.Tensor:
    """Largest S_c with which the worst sum of a channel stays below ``sum_limit``.

    Where rounding alone could fill three quarters of the limit there is no such
    scale; then the export says that the sums do not fit.
    """
    low, high = scaling.source
    worst: torch.Tensor | float = 0.0
    room = float(scaling.sum_limit - 2 * scaling.bias_limit)
    for w in folded:
        if w is not None:
            flat = w.flatten(1)
            up, down = flat.clamp_min(0).sum(1), (-flat).clamp_min(0).sum(1)
            worst = worst + torch.maximum(up * high - down * low, down * high - up * low)
            room -= flat.shape[1] * scaling.step / 2 * (high - low)
    return max(room, scaling.sum_limit / 4) / torch.as_tensor(worst).clamp_min(1e-12)


def _choose_scale(
    largest: torch.Tensor,
    bias: torch.Tensor,
    theta: float | None,
    levels: int,
    units: bool,
    scaling: Scaling,
    sum_cap: torch.Tensor | None = None,
) -> torch.Tensor:
    """S_c from the largest folded weight of every channel (0: no weighted synapse)."""
    if scaling.mode == "fixed":
        return torch.full_like(largest, scaling.fixed)
    tiny = 1e-12
    cap = scaling.bias_limit / bias.abs().clamp_min(tiny)
    if theta is not None:
        cap = cap.clamp_max(scaling.state_limit / (theta * (levels + 1)))
    else:
        cap = cap.clamp_max(float(scaling.state_limit))
    if sum_cap is not None:
        cap = torch.minimum(cap, sum_cap)
    scale = scaling.weight_max / largest.clamp_min(tiny)
    if scaling.mode == "layer":
        scale, cap = scale.min().expand_as(scale), cap.min().expand_as(cap)
    if scaling.exponents:
        # large weights make vth small and coarse: let them carry an exponent
        finest = THETA_MIN / (theta or 1.0)
        low = torch.quantile(torch.minimum(scale, cap), 0.1)
        lift = max(0, int(torch.ceil(torch.log2(finest / low)))) if low > 0 else 0
        while units and lift < 16 and float((scale * 2**lift).min()) < 1:
            lift += 1
        scale = scale * 2 ** min(lift, 16)
    scale = torch.minimum(scale, cap)
    if units:
        e = _unit_exponent(scale)
        scale = torch.floor(scale / 2**e).clamp(1, UNIT_MAX) * 2**e
    return scale


def quantise(
    weights: Sequence[torch.Tensor | None],
    gains: Sequence[float],
    bias: torch.Tensor,
    theta: float | None,
    levels: int,
    v0: str,
    scaling: Scaling,
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

    Returns
    -------
    Integers
        On the device of ``bias``.

    Raises
    ------
    RangeError
        If a parameter is not finite, or fits no integer of its width.
    """
    device = bias.device
    bias = bias.detach().double()
    folded = [None if w is None else w.detach().double() for w in weights]
    for tensor in (bias, *(w for w in folded if w is not None)):
        if not bool(torch.isfinite(tensor).all()):
            raise RangeError("weights and biases must be finite, got NaN or infinity")
    if theta is not None and not 0 < theta < math.inf:
        raise RangeError(f"the threshold must be positive and finite, got {theta}")
    largest = torch.zeros_like(bias)
    for w in folded:
        if w is not None:
            largest = torch.maximum(largest, w.abs().flatten(1).amax(1))
    units = any(w is None for w in folded)
    sum_cap = _sum_cap(folded, scaling) if scaling.sum_limit else None
    scale = _choose_scale(largest, bias, theta, levels, units, scaling, sum_cap)
    ints, exponents = [], []
    for w, gain in zip(folded, gains, strict=True):
        if w is None:
            w_int, e = _unit_weight(scale * gain)
        else:
            scaled = w * scale.reshape(-1, *[1] * (w.dim() - 1))
            e = _weight_exponent(scaled, scaling)
            grid = scaling.step * 2**e
            limit = scaling.weight_max // scaling.step
            w_int = torch.round(scaled / grid).clamp(-limit, limit) * scaling.step
        ints.append(w_int)
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
    return Integers(
        tuple(w.to(device) for w in ints), tuple(exponents), bias_int, vth, start, scale
    )


def _unit_weight(value: torch.Tensor) -> tuple[torch.Tensor, int]:
    """A one-to-one weight as mantissas up to 255 and one exponent, exactly."""
    for e in range(17):
        m = value / 2**e
        if bool((m != torch.floor(m)).any()):
            break
        if bool((m <= UNIT_MAX).all()):
            return m, e
    raise RangeError(
        f"a one-to-one weight must be m * 2**e with m <= {UNIT_MAX}, got up to {float(value.max())}"
    )


def _weight_exponent(scaled: torch.Tensor, scaling: Scaling) -> int:
    """Smallest exponent that brings the scaled weights into 8 bits."""
    top = float(scaled.abs().max()) if scaled.numel() else 0.0
    e = 0
    # half a grid step above the limit still rounds onto it
    while scaling.exponents and top / 2**e > scaling.weight_max + 0.5 and e < 16:
        e += 1
    return e
