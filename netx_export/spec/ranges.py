"""Worst case of every accumulator and state, by interval arithmetic over the DAG.

Payload intervals run from the input to the output, one per channel. A synapse sums
``w > 0`` parts over one end and ``w < 0`` parts over the other; a silent source (a
padded border, or a timestep before the first sample) sends 0, so every payload
interval is widened to contain 0. With the input A = [al, ah] of one timestep, bias
included, a multi-level neuron goes through::

    H_1 = V0 + A                       H_t = V_{t-1} + A
    V_t = hull of { h - vth * clip(h // vth, 0, N) : h in H_t }

On one level the map is h minus a constant. Where H_t spans levels kl < kh, the
integer just below a threshold is left with vth - 1 and the one on it with 0, hence

    V_t = [min(0, hl - vth * kl), max(vth - 1, hh - vth * kh)].

That hull is exact for one neuron whose input takes every whole number in A; sums
that depend on each other (two arms of a residual) make it wider than what can
happen, never narrower.

The T timesteps are taken in runs. Below the threshold, above N * vth, and where V_t
holds all of 0 .. vth - 1, both ends move by a constant until they stop, so that any
number of timesteps is one step of the program. A narrow interval that turns around
inside one threshold is followed for :data:`TURNS` steps and then widened to
0 .. vth - 1. Numbers beyond :data:`FAR` stand for anything that large. Ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netx_export.errors import RangeError
from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Layer,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    StockNeuron,
    Synapse,
)
from netx_export.spec.graph import order
from netx_export.spec.widths import STATE_MAX, STATE_MIN, shift

__all__ = [
    "Bounds",
    "LayerRange",
    "check_ranges",
    "payload_bounds",
    "reach",
    "signed_bits",
    "worst_case",
]

Interval = tuple[int, int]
Bounds = tuple[np.ndarray, np.ndarray]  # lowest and highest per channel, int64

FAR = 1 << 40  # past any width, and times T still inside int64
TURNS = 256
CHUNK = 1 << 22  # weights turned to float64 at a time


@dataclass(frozen=True)
class LayerRange:
    """Worst case of one population, over its neurons and the timesteps of a sample.

    Attributes
    ----------
    index, name : int, str
        The layer.
    synapses : tuple of (int, int)
        Lowest and highest sum of each synapse (before or after its exponent,
        whichever is wider).
    accumulator : (int, int)
        All synapses together: the neuron's ``a_in``.
    state : (int, int)
        The membrane before the spike, H; for a readout what it sends.
        ``(0, 0)`` for a neuron of lava-dl, which follows its own rules.
    payload : (int, int)
        What it sends.
    problem : str
        Empty if everything stays in its width.
    """

    index: int
    name: str
    synapses: tuple[Interval, ...]
    accumulator: Interval
    state: Interval
    payload: Interval
    problem: str = ""

    @property
    def fits(self) -> bool:
        """Whether everything stays in its width."""
        return not self.problem

    @property
    def bits(self) -> int:
        """Signed width that accumulators and state need."""
        return signed_bits(*self.synapses, self.accumulator, self.state)


def signed_bits(*intervals: Interval) -> int:
    """Width in two's complement that holds all of them."""
    widths = [
        max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) for low, high in intervals
    ]
    return 1 + max(widths)


def _hull(bounds: Bounds) -> Interval:
    return int(bounds[0].min()), int(bounds[1].max())


def _with_zero(bounds: Bounds) -> Bounds:
    return np.minimum(bounds[0], 0), np.maximum(bounds[1], 0)


def _matrix(weight: np.ndarray, low: np.ndarray, high: np.ndarray) -> Bounds:
    """Interval of ``weight @ s``; float64 is exact below 2**53."""
    lows, highs = [], []
    rows = max(1, CHUNK // weight.shape[1])
    ends = np.stack([low, high], axis=1).astype(np.float64)
    for start in range(0, weight.shape[0], rows):
        part = weight[start : start + rows].astype(np.float64)
        up, down = np.maximum(part, 0) @ ends, np.minimum(part, 0) @ ends
        lows.append(up[:, 0] + down[:, 1])
        highs.append(up[:, 1] + down[:, 0])
    return _near(np.concatenate(lows)), _near(np.concatenate(highs))


def _near(values: np.ndarray) -> np.ndarray:
    return values.clip(-FAR, FAR).astype(np.int64)


def _sum_bounds(synapse: Synapse, source: Bounds) -> Bounds:
    """Interval of a synapse's sum per output channel, before its exponent."""
    low, high = _with_zero(source)
    weight = synapse.weight
    if isinstance(synapse, Dense):
        return _matrix(weight, low, high)
    if isinstance(synapse, Conv):
        taps = weight.shape[2] * weight.shape[3]
        per_group = weight.shape[0] // synapse.groups
        parts = []
        for g in range(synapse.groups):
            kernels = weight[g * per_group : (g + 1) * per_group].reshape(per_group, -1)
            inputs = slice(g * weight.shape[1], (g + 1) * weight.shape[1])
            parts.append(_matrix(kernels, low[inputs].repeat(taps), high[inputs].repeat(taps)))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    gain = weight.astype(np.int64)
    ends = gain * low, gain * high
    return np.minimum(*ends), np.maximum(*ends)


def _multilevel(neuron: MultiLevel, a: Bounds, timesteps: int) -> tuple[Interval, Bounds]:
    """State hull and payload bounds of a multi-level population; see the module."""
    size = a[0].shape
    theta = np.broadcast_to(neuron.vth, size).astype(np.int64)
    start = np.broadcast_to(neuron.v0, size).astype(np.int64)
    z_low, z_high = np.full(size, neuron.levels, np.int64), np.zeros(size, np.int64)
    state: Interval | None = None
    going = np.arange(size[0])  # the channels that still move
    ends, left, turns = (start, start), np.full(size, timesteps), 0
    while going.size:
        inputs = a[0][going], a[1][going]
        if turns == TURNS:
            ends = np.minimum(ends[0], 0), np.maximum(ends[1], theta[going] - 1)
        many = np.minimum(_run_length(ends, inputs, theta[going], neuron.levels), left)
        many = np.maximum(many, 1)
        last, after = _after(ends, inputs, theta[going], neuron.levels, many)
        # both ends move one way in a run, so its first and its last timestep are the extremes
        for low, high in (ends, last):
            h = low + inputs[0], high + inputs[1]
            k_low, k_high = ((x // theta[going]).clip(0, neuron.levels) for x in h)
            state = _join(state, _hull(h))
            z_low[going] = np.minimum(z_low[going], k_low)
            z_high[going] = np.maximum(z_high[going], k_high)
        left = left - many
        moving = (left > 0) & ((after[0] != ends[0]) | (after[1] != ends[1]))
        going, left = going[moving], left[moving]
        ends, turns = (after[0][moving], after[1][moving]), turns + 1
    assert state is not None
    return state, (z_low, z_high)


def _run_length(ends: Bounds, a: Bounds, theta: np.ndarray, levels: int) -> np.ndarray:
    """For how many timesteps both ends follow :func:`_after`; FAR: for ever."""
    (low, high), (a_low, a_high), top = ends, a, levels * theta
    h_low, h_high = low + a_low, high + a_high
    below = np.where(a_high > 0, (theta - 1 - high) // np.maximum(a_high, 1), FAR)
    falls = np.maximum(top - a_low, 1)
    above = np.where(a_low < top, (h_low - top) // falls + 1, FAR)
    until_below = (h_high - theta) // np.maximum(top - a_high, 1) + 1
    until_above = (top - low - 1) // np.maximum(a_low, 1)
    across = np.where(a_high > 0, FAR, until_below)
    across = np.where(a_low < top, across, np.minimum(across, until_above))
    wide = (low <= 0) & (high >= theta - 1)
    return np.select([h_high < theta, h_low >= top, wide & ~_one(h_low, h_high, theta, levels)],
                     [below, above, across], 1)  # fmt: skip


def _one(h_low: np.ndarray, h_high: np.ndarray, theta: np.ndarray, levels: int) -> np.ndarray:
    """Whether both ends send the same payload."""
    return (h_low // theta).clip(0, levels) == (h_high // theta).clip(0, levels)


def _after(
    ends: Bounds, a: Bounds, theta: np.ndarray, levels: int, many: np.ndarray
) -> tuple[Bounds, Bounds]:
    """V before the last of ``many`` timesteps of a run, and after it."""
    (low, high), (a_low, a_high) = ends, a
    h_low, h_high = low + a_low, high + a_high
    one, sent = _one(h_low, h_high, theta, levels), (h_low // theta).clip(0, levels) * theta
    found = []
    for n in (many - 1, many):
        found.append(
            (
                np.where(one, low + n * (a_low - sent), np.minimum(low + n * a_low, 0)),
                np.where(
                    one,
                    high + n * (a_high - sent),
                    np.maximum(high + n * (a_high - levels * theta), theta - 1),
                ),
            )
        )
    before = tuple(np.where(many == 1, x, y) for x, y in zip(ends, found[0], strict=True))
    return (before[0], before[1]), found[1]


def _join(a: Interval | None, b: Interval) -> Interval:
    return b if a is None else (min(a[0], b[0]), max(a[1], b[1]))


def _readout(neuron: Readout, a: Bounds, timesteps: int) -> Bounds:
    """Everything that a readout can send."""
    if not neuron.integrate or timesteps == 1:
        return a
    return np.minimum(a[0], a[0] * timesteps), np.maximum(a[1], a[1] * timesteps)


def _sums(layer: Population, sources: list[Bounds]) -> tuple[list[Bounds], list[Bounds], Bounds]:
    """Each synapse before its exponent and after it, and all of them together."""
    sums = [_sum_bounds(s, b) for s, b in zip(layer.synapses, sources, strict=True)]
    shifted = [
        (_near(shift(low, s.weight_exp)), _near(shift(high, s.weight_exp)))
        for s, (low, high) in zip(layer.synapses, sums, strict=True)
    ]
    total = (
        _near(np.sum([low for low, _ in shifted], axis=0)),
        _near(np.sum([high for _, high in shifted], axis=0)),
    )
    return sums, shifted, total


def reach(layer: Population, sources: list[Bounds]) -> np.ndarray:
    """Largest magnitude of sums and state in the first timestep, per channel."""
    sums, shifted, total = _sums(layer, sources)
    start = layer.neuron.v0.astype(np.int64) if isinstance(layer.neuron, MultiLevel) else 0
    bias = 0 if layer.bias is None else layer.bias.astype(np.int64)
    state = total[0] + bias + start, total[1] + bias + start
    ends = [np.maximum(-low, high) for low, high in (*sums, *shifted, total, state)]
    largest: np.ndarray = np.max(ends, axis=0)
    return largest


def _population(
    index: int, layer: Population, sources: list[Bounds], timesteps: int
) -> tuple[LayerRange, Bounds]:
    sums, shifted, total = _sums(layer, sources)
    synapses = tuple(
        _join(_hull(before), _hull(after)) for before, after in zip(sums, shifted, strict=True)
    )
    accumulator = _hull(total)
    bias = 0 if layer.bias is None else layer.bias.astype(np.int64)
    a = total[0] + bias, total[1] + bias
    neuron = layer.neuron
    if isinstance(neuron, StockNeuron):
        low, high = neuron.payload
        bounds = np.full(a[0].shape, low, np.int64), np.full(a[0].shape, high, np.int64)
        return LayerRange(index, layer.name, synapses, accumulator, (0, 0), (low, high)), bounds
    if isinstance(neuron, MultiLevel):
        state, bounds = _multilevel(neuron, a, timesteps)
    else:
        bounds = _readout(neuron, a, timesteps)
        state = _hull(bounds)
    found = LayerRange(index, layer.name, synapses, accumulator, state, _hull(bounds))
    problem = _problem(found, layer)
    if problem:  # what follows is judged as if this layer were mended
        bounds = bounds[0].clip(*neuron.payload), bounds[1].clip(*neuron.payload)
        found = LayerRange(index, layer.name, synapses, accumulator, state, _hull(bounds), problem)
    return found, bounds


def _problem(found: LayerRange, layer: Population) -> str:
    parts = [(f"the sum of synapse {k}", i) for k, i in enumerate(found.synapses)]
    parts += [("the sum of its synapses", found.accumulator), ("its state", found.state)]
    for what, (low, high) in parts:
        if low < STATE_MIN or high > STATE_MAX:
            return (
                f"{what} must fit 24 bits, but can reach {low}..{high}, which needs "
                f"{signed_bits((low, high))}; use fewer levels before it, a smaller weight_exp, "
                "or fewer inputs"
            )
    if isinstance(layer.neuron, Readout):
        low, high = layer.neuron.payload
        if found.payload[0] < low or found.payload[1] > high:
            need = signed_bits(found.payload)
            wide = next(bits for bits in (16, 24) if bits >= need)
            return (
                f"its payload must fit num_message_bits = {layer.neuron.num_message_bits}, but "
                f"can reach {found.payload[0]}..{found.payload[1]}; use {wide} bits"
            )
    return ""


def payload_bounds(layer: Layer, sources: list[Bounds], timesteps: int = 1) -> Bounds:
    """Lowest and highest payload of a layer per channel, from those of its sources."""
    if isinstance(layer, Population):
        return _population(0, layer, sources, timesteps)[1]
    if isinstance(layer, Flatten):
        low, high = sources[0]
        area = layer.shape[0] // low.shape[0]
        return low.repeat(area), high.repeat(area)
    low_z, high_z = layer.payload if layer.neuron is None else layer.neuron.payload
    size = layer.shape[0]
    return np.full(size, low_z, np.int64), np.full(size, high_z, np.int64)


def worst_case(spec: NetworkSpec) -> list[LayerRange]:
    """Worst case of every population, in file order.

    Parameters
    ----------
    spec : NetworkSpec
        Any network. Neurons of lava-dl follow their own rules: their accumulators
        are given, but nothing is required of them.

    Returns
    -------
    list of LayerRange
        The ranges after a layer that does not fit are those of the network in
        which it does.
    """
    bounds: dict[int, Bounds] = {}
    found: dict[int, LayerRange] = {}
    for index in order(spec.layers):
        layer = spec.layers[index]
        sources = [bounds[s] for s in layer.sources]
        if isinstance(layer, Population):
            found[index], bounds[index] = _population(index, layer, sources, spec.timesteps)
        else:
            bounds[index] = payload_bounds(layer, sources)
    return [found[index] for index, _ in spec.populations]


def check_ranges(spec: NetworkSpec) -> list[LayerRange]:
    """:func:`worst_case`, or RangeError for the first layer that can leave its width."""
    ranges = worst_case(spec)
    for found in ranges:
        if found.problem:
            raise RangeError(found.problem, spec.label(found.index))
    return ranges
