"""Collects layers while blocks are asked for theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np

from netx_export.errors import ConfigError, at
from netx_export.spec import Flatten, Layer, Population
from netx_export.spec.ranges import Bounds, payload_bounds
from netx_export.spec.synapses.parts import Part

__all__ = ["Builder", "Exports", "Joined", "Links", "ScaleLoss", "Sent"]


@dataclass(frozen=True)
class Joined:
    """Channels of several layers as one payload, which no layer sends.

    A population reads it by a synapse per part (:mod:`netx_export.spec.synapses.parts`).
    """

    parts: tuple[Part, ...]

    @property
    def sources(self) -> tuple[int, ...]:
        """The layers, one per part."""
        return tuple(part.source for part in self.parts)

    def bounds(self, parts: Sequence[Bounds]) -> Bounds:
        """Lowest and highest payload per channel, from those of the layers."""
        low, high = (np.zeros(sum(len(p.own) for p in self.parts), np.int64) for _ in range(2))
        for part, ends in zip(self.parts, parts, strict=True):
            low[part.joined], high[part.joined] = (end[part.own] for end in ends)
        return low, high

    def levels(self, parts: Sequence[int]) -> np.ndarray:
        """Per channel, the levels of the layer that it is of."""
        found = np.zeros(sum(len(p.own) for p in self.parts), np.int64)
        for part, levels in zip(self.parts, parts, strict=True):
            found[part.joined] = levels
        return found


Source = int | Joined


@dataclass(frozen=True)
class ScaleLoss:
    """Channels of a layer that are coarser than asked for, so that all numbers fit 24 bits.

    Attributes
    ----------
    layer : str
        Its name.
    channels, of : int
        How many became coarser, of how many.
    bits : float
        Resolution that the worst of them has lost: log2 of the factor by which its scale fell
        until sums fit, or what its weights have lost, if that is more.
    inputs, payload : int
        How many inputs a neuron sums, and the largest payload that one sends.
    drive : float or None
        The largest weight or bias of a channel that became coarser, in thresholds; None
        without spikes.
    left : float
        Bits that are left of the weights of the worst channel, sign included.
    asked : int
        Bits that weights were to have.
    """

    layer: str
    channels: int
    of: int
    bits: float
    inputs: int
    payload: int
    drive: float | None
    left: float
    asked: int

    @property
    def why(self) -> str:
        """What made them coarser."""
        drive = "" if self.drive is None else f" with weights of up to {self.drive:.2g} thresholds"
        return (
            "so that thresholds, biases and sums fit 24 bits: neurons add "
            f"{self.inputs} inputs of up to {self.payload}{drive}"
        )

    @property
    def remedy(self) -> str:
        """What keeps more."""
        return (
            "fewer levels before the layer, or smaller weights (a BatchNorm with a tiny variance "
            "or a huge gain makes large ones), keep more"
        )

    def __str__(self) -> str:
        left = f" ({self.left:.1f} of {self.asked} weight bits left)"
        return (
            f"layer {self.layer!r}: {self.channels} of {self.of} channels are up to "
            f"{self.bits:.1f} bits coarser{left if self.left < self.asked else ''}, {self.why}; "
            f"{self.remedy}"
        )


class Sent(NamedTuple):
    """What a source sends, per channel.

    Attributes
    ----------
    bounds : pair of ndarray
        Lowest and highest payload.
    levels : ndarray
        The largest payload of a single neuron behind it: a pool that sends sums has more.
    """

    bounds: Bounds
    levels: np.ndarray


class Exports(Protocol):
    """What a population in training has to answer."""

    def exported(
        self, name: str, sources: tuple[int, ...], sent: list[Sent] | None, fresh: bool
    ) -> tuple[Population, ScaleLoss | None]:
        """Itself as a layer of integers, and whether channels became coarser for that.

        Parameters
        ----------
        name : str
            The layer's.
        sources : tuple of int
            Layer index per synapse.
        sent : list of Sent, or None
            What the sources send in the first timestep; None: not known.
        fresh : bool
            Whether this is its first use; another keeps the integers of the first.
        """
        ...


class Builder:
    """Layers so far.

    Attributes
    ----------
    losses : list of ScaleLoss
        Layers that are coarser than asked for.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.populations: dict[str, Exports] = {}  # by layer name, for parity checks
        self.losses: list[ScaleLoss] = []
        self._bounds: dict[int, Bounds] = {}  # payloads of each layer in the first timestep
        self._levels: dict[int, int] = {}  # see Sent

    def add(self, layer: Layer) -> int:
        """Append a layer, return its index."""
        if not isinstance(layer, Layer):
            raise ConfigError(
                f"builder.add takes a layer of netx_export.spec, got {type(layer).__name__}; add "
                "the population of a block with builder.population"
            )
        self.layers.append(layer)
        index = len(self.layers) - 1
        sources = self._sources(layer.sources)
        if sources is not None:
            low, high = payload_bounds(layer, [sent.bounds for sent in sources])
            self._bounds[index] = low, high
            passes = layer.sources and not (isinstance(layer, Population) and layer.neuron.fires)
            self._levels[index] = (
                max(self._levels[k] for k in layer.sources)
                if passes
                else int(max(-low.min(), high.max()))
            )
        return index

    def _sources(self, sources: Sequence[Source]) -> list[Sent] | None:
        """What the sources send; None where one is not known (a block by itself)."""
        found = []
        for source in sources:
            layers = source.sources if isinstance(source, Joined) else (source,)
            if any(index not in self._bounds for index in layers):
                return None
            ends = [self._bounds[index] for index in layers]
            levels = [self._levels[index] for index in layers]
            found.append(
                Sent(source.bounds(ends), source.levels(levels))
                if isinstance(source, Joined)
                else Sent(ends[0], np.full(len(ends[0][0]), levels[0]))
            )
        return found

    def population(self, name: str, population: Exports, *sources: Source) -> int:
        """Append a population as its exported integers, one source per synapse."""
        if not hasattr(population, "exported"):
            raise ConfigError(
                "builder.population takes the population of a block, such as block.population, "
                f"got {type(population).__name__}; add integers of your own with builder.add",
                f"layer {name!r}",
            )
        fresh = all(population is not known for known in self.populations.values())
        self.populations[name] = population
        with at(f"layer {name!r}"):
            whole = tuple(0 if isinstance(s, Joined) else s for s in sources)
            layer, loss = population.exported(name, whole, self._sources(sources), fresh)
            split = (
                synapse.split(source.parts) if isinstance(source, Joined) else (synapse,)
                for synapse, source in zip(layer.synapses, sources, strict=True)
            )
            layer = replace(layer, synapses=tuple(chain(*split)))
        if loss is not None:
            self.losses.append(loss)
        return self.add(layer)


class Links(Builder):
    """Which population is fed by which, and no integers: for models that have none yet."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, Any, tuple[str | tuple[str, ...], ...]]] = []
        self._feeds: list[str] = []  # per layer: the population behind it, "" for the input

    def add(self, layer: Layer) -> int:
        """As in the base; a flatten passes on what feeds it."""
        self._feeds.append(self._feeds[layer.source] if isinstance(layer, Flatten) else "")
        self.layers.append(layer)
        return len(self._feeds) - 1

    def population(self, name: str, population: Any, *sources: Source) -> int:
        """Note a population and the names of its sources, several for joined payloads."""
        feeds = tuple(
            tuple(self._feeds[k] for k in s.sources) if isinstance(s, Joined) else self._feeds[s]
            for s in sources
        )
        self.links.append((name, population, feeds))
        self._feeds.append(name)
        return len(self._feeds) - 1
