"""Worst case of every accumulator and state, by interval arithmetic over the DAG.

Payload intervals run from the input to the output, one per channel. A synapse sums
``w > 0`` parts over one end and ``w < 0`` parts over the other; a silent source (a
padded border, or a timestep before the first sample) sends 0, so every payload
interval is widened to contain 0. What
a neuron makes of its input, its kind answers (:mod:`netx_export.spec.neurons`). Ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from netx_export.errors import RangeError
from netx_export.spec.graph import order
from netx_export.spec.intervals import Bounds, Interval, hull, join, near
from netx_export.spec.layers import Flatten, Layer, Population
from netx_export.spec.network import NetworkSpec
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
        max(max(high, 0).bit_length(), max(-low - 1, 0).bit_length()) for low, high in intervals
    ]
    return 1 + max(widths)


def _sums(layer: Population, sources: list[Bounds]) -> tuple[list[Bounds], list[Bounds], Bounds]:
    """Each synapse before its exponent and after it, and all of them together."""
    sums = [s.product_bounds(b) for s, b in zip(layer.synapses, sources, strict=True)]
    shifted = [
        (near(shift(low, s.weight_exp)), near(shift(high, s.weight_exp)))
        for s, (low, high) in zip(layer.synapses, sums, strict=True)
    ]
    total = (
        near(np.sum([low for low, _ in shifted], axis=0)),
        near(np.sum([high for _, high in shifted], axis=0)),
    )
    return sums, shifted, total


def reach(layer: Population, sources: list[Bounds]) -> np.ndarray:
    """Largest magnitude of sums and state in the first timestep, per channel."""
    sums, shifted, total = _sums(layer, sources)
    start = layer.neuron.start(1)
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
        join(hull(before), hull(after)) for before, after in zip(sums, shifted, strict=True)
    )
    bias = 0 if layer.bias is None else layer.bias.astype(np.int64)
    neuron = layer.neuron
    state, bounds = neuron.bounds((total[0] + bias, total[1] + bias), timesteps)
    found = LayerRange(index, layer.name, synapses, hull(total), state, hull(bounds))
    problem = _problem(found, layer) if neuron.exact else ""
    if problem:  # what follows is judged as if this layer were mended
        bounds = bounds[0].clip(*neuron.payload), bounds[1].clip(*neuron.payload)
        found = replace(found, payload=hull(bounds), problem=problem)
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
    low, high = layer.neuron.payload
    if found.payload[0] < low or found.payload[1] > high:
        need = signed_bits(found.payload)
        wide = next(bits for bits in (16, 24) if bits >= need)
        return (
            f"its payload must fit num_message_bits = {layer.num_message_bits}, but "
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
    """:func:`worst_case`, or RangeError for the first layer that can leave its width.

    Parameters
    ----------
    spec : NetworkSpec
        The network.

    Returns
    -------
    list of LayerRange
        One a population, in order.
    """
    ranges = worst_case(spec)
    for found in ranges:
        if found.problem:
            raise RangeError(found.problem, spec.label(found.index))
    return ranges
