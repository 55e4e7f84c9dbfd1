"""Collects layers while blocks are asked for theirs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from lava_mlsnn.slayer.population import Population
from lava_mlsnn.slayer.quantise import Integers
from netx_export.errors import at
from netx_export.spec import (
    Flatten,
    Layer,
    MultiLevel,
    Readout,
)
from netx_export.spec import Population as PopulationSpec
from netx_export.spec.ranges import Bounds, payload_bounds, reach
from netx_export.spec.widths import STATE_MAX

__all__ = ["Builder", "Links", "ScaleLoss"]

ROOM = 1 << 22  # what a sum that did not fit may reach: half of the state
TRIES = 8  # rounding can put a sum above the room


def _whole(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.int64)


@dataclass(frozen=True)
class ScaleLoss:
    """Channels of a layer whose scale had to fall until their sums fit 24 bits.

    Attributes
    ----------
    layer : str
        Its name.
    channels, of : int
        How many fell, of how many.
    bits : float
        Resolution that the channel which fell most has lost, log2 of the factor.
    """

    layer: str
    channels: int
    of: int
    bits: float

    def __str__(self) -> str:
        return (
            f"layer {self.layer!r}: {self.channels} of {self.of} channels are up to "
            f"{self.bits:.1f} bits coarser, so that their sums fit 24 bits; their gain is extreme "
            "(a BatchNorm with a tiny variance or a huge weight)"
        )


class Builder:
    """Layers so far.

    Attributes
    ----------
    losses : list of ScaleLoss
        Layers with channels of extreme gain.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.populations: dict[str, Population] = {}  # by layer name, for parity checks
        self.losses: list[ScaleLoss] = []
        self._bounds: dict[int, Bounds] = {}  # payloads of each layer in the first timestep

    def add(self, layer: Layer) -> int:
        """Append a layer, return its index."""
        self.layers.append(layer)
        index = len(self.layers) - 1
        sources = self._sources(layer.sources)
        if sources is not None:
            self._bounds[index] = payload_bounds(layer, sources)
        return index

    def _sources(self, indices: tuple[int, ...]) -> list[Bounds] | None:
        """Payload bounds of the sources; None where one is not known (a block by itself)."""
        known = all(index in self._bounds for index in indices)
        return [self._bounds[index] for index in indices] if known else None

    def population(self, name: str, population: Population, *sources: int) -> int:
        """Append a population as its exported integers, one source per synapse."""
        fresh = all(population is not known for known in self.populations.values())
        self.populations[name] = population
        with at(f"layer {name!r}"):
            population.check_exportable()
            if fresh:  # what is used twice keeps the scales of its first use
                population.ceiling = None
            ints = population.integers()
            layer = _layer(name, population, ints, sources)
            bounds = self._sources(sources)
            if fresh and bounds is not None and population.scaling.mode != "fixed":
                layer = self._fitting(layer, population, ints, bounds)
        return self.add(layer)

    def _fitting(
        self, layer: PopulationSpec, population: Population, ints: Integers, sources: list[Bounds]
    ) -> PopulationSpec:
        """The layer with scales so low that the sums of its first timestep fit.

        Nothing changes where they fit at once. The population keeps the ceiling, so that
        its forward computes what is exported.
        """
        first = scale = ints.scale
        for _ in range(TRIES):
            far = torch.from_numpy(reach(layer, sources)).to(scale)
            if not bool((far > STATE_MAX).any()):
                break
            lower = torch.where(far > STATE_MAX, scale * (ROOM / far), torch.inf)
            if population.ceiling is not None:
                lower = torch.minimum(lower, lower.new_tensor(population.ceiling))
            population.ceiling = tuple(lower.tolist())
            ints = population.integers()
            layer, scale = _layer(layer.name, population, ints, layer.sources), ints.scale
        fell = first / scale
        if any(synapse.weight is None for synapse in population._synapses()):
            fell = torch.maximum(fell, 1 / scale)  # below 1 a one-to-one synapse is lost
        if bool((fell > 1).any()):
            bits = math.log2(float(fell.max()))
            self.losses.append(ScaleLoss(layer.name, int((fell > 1).sum()), len(fell), bits))
        return layer


def _layer(
    name: str, population: Population, ints: Integers, sources: tuple[int, ...]
) -> PopulationSpec:
    synapses = tuple(
        synapse.exported(source, _whole(weight), exponent)
        for source, synapse, weight, exponent in zip(
            sources, population._synapses(), ints.weights, ints.exponents, strict=True
        )
    )
    neuron = population.neuron
    if neuron is not None and ints.vth is not None and ints.v0 is not None:
        kind: MultiLevel | Readout = MultiLevel(
            neuron.levels, _shared(_whole(ints.vth)), _shared(_whole(ints.v0), ints.vth)
        )
    else:
        kind = Readout(population.integrate, population.num_message_bits)
    bias = _whole(ints.bias)
    scale = ints.scale.cpu().numpy().astype(np.float64)
    return PopulationSpec(
        name,
        population.shape,
        synapses,
        kind,
        bias if np.any(bias) else None,
        scale[:1] if np.all(scale == scale[0]) else scale,
    )


class Links(Builder):
    """Which population is fed by which, and no integers: for models that have none yet."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, Population, tuple[str, ...]]] = []
        self._feeds: list[str] = []  # per layer: the population behind it, "" for the input

    def add(self, layer: Layer) -> int:
        """As in the base; a flatten passes on what feeds it."""
        self._feeds.append(self._feeds[layer.source] if isinstance(layer, Flatten) else "")
        self.layers.append(layer)
        return len(self._feeds) - 1

    def population(self, name: str, population: Population, *sources: int) -> int:
        """Note a population and the names of its sources."""
        self.links.append((name, population, tuple(self._feeds[s] for s in sources)))
        self._feeds.append(name)
        return len(self._feeds) - 1


def _shared(values: np.ndarray, of: torch.Tensor | None = None) -> np.ndarray:
    """One value if all channels (of ``of``) agree: less state on the chip."""
    same = values if of is None else _whole(of)
    return values[:1] if np.all(same == same[0]) else values
