"""Collects layers while blocks are asked for theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from netx_export.errors import ConfigError, at
from netx_export.spec import Flatten, Layer, Population
from netx_export.spec.ranges import Bounds, payload_bounds

__all__ = ["Builder", "Exports", "Links", "ScaleLoss"]


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


class Exports(Protocol):
    """What a population in training has to answer."""

    def exported(
        self, name: str, sources: tuple[int, ...], bounds: list[Bounds] | None, fresh: bool
    ) -> tuple[Population, ScaleLoss | None]:
        """Itself as a layer of integers, and whether channels became coarser for that.

        Parameters
        ----------
        name : str
            The layer's.
        sources : tuple of int
            Layer index per synapse.
        bounds : list of pairs of ndarray, or None
            What the sources send in the first timestep, per channel; None: not known.
        fresh : bool
            Whether this is its first use; another keeps the integers of the first.
        """
        ...


class Builder:
    """Layers so far.

    Attributes
    ----------
    losses : list of ScaleLoss
        Layers with channels of extreme gain.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.populations: dict[str, Exports] = {}  # by layer name, for parity checks
        self.losses: list[ScaleLoss] = []
        self._bounds: dict[int, Bounds] = {}  # payloads of each layer in the first timestep

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
            self._bounds[index] = payload_bounds(layer, sources)
        return index

    def _sources(self, indices: tuple[int, ...]) -> list[Bounds] | None:
        """Payload bounds of the sources; None where one is not known (a block by itself)."""
        known = all(index in self._bounds for index in indices)
        return [self._bounds[index] for index in indices] if known else None

    def population(self, name: str, population: Exports, *sources: int) -> int:
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
            layer, loss = population.exported(name, sources, self._sources(sources), fresh)
        if loss is not None:
            self.losses.append(loss)
        return self.add(layer)


class Links(Builder):
    """Which population is fed by which, and no integers: for models that have none yet."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, Any, tuple[str, ...]]] = []
        self._feeds: list[str] = []  # per layer: the population behind it, "" for the input

    def add(self, layer: Layer) -> int:
        """As in the base; a flatten passes on what feeds it."""
        self._feeds.append(self._feeds[layer.source] if isinstance(layer, Flatten) else "")
        self.layers.append(layer)
        return len(self._feeds) - 1

    def population(self, name: str, population: Any, *sources: int) -> int:
        """Note a population and the names of its sources."""
        self.links.append((name, population, tuple(self._feeds[s] for s in sources)))
        self._feeds.append(name)
        return len(self._feeds) - 1
