"""Collects layers while blocks are asked for theirs."""

from __future__ import annotations

import numpy as np
import torch

from lava_mlsnn.slayer.population import Population
from lava_mlsnn.slayer.synapse import ConvSynapse, DenseSynapse, PoolSynapse
from lava_mlsnn.slayer.synapse import Synapse as TorchSynapse
from netx_export.errors import at
from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Layer,
    MultiLevel,
    Readout,
    Synapse,
)
from netx_export.spec import Population as PopulationSpec

__all__ = ["Builder", "Links"]


def _whole(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.int64)


def _synapse(source: int, synapse: TorchSynapse, weight: np.ndarray, exponent: int) -> Synapse:
    if isinstance(synapse, DenseSynapse):
        return Dense(source, weight, exponent)
    if isinstance(synapse, ConvSynapse):
        return Conv(
            source,
            weight,
            exponent,
            synapse.stride,
            synapse.padding,
            synapse.dilation,
            synapse.groups,
        )
    if isinstance(synapse, PoolSynapse):  # each channel by itself, constant weight
        kernel = np.broadcast_to(
            weight.reshape(-1, 1, 1, 1), (synapse.groups, 1, *synapse.kernel_size)
        )
        return Conv(source, kernel.copy(), exponent, synapse.stride, groups=synapse.groups)
    return Identity(source, weight, exponent)


class Builder:
    """Layers so far."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.populations: dict[str, Population] = {}  # by layer name, for parity checks

    def add(self, layer: Layer) -> int:
        """Append a layer, return its index."""
        self.layers.append(layer)
        return len(self.layers) - 1

    def population(self, name: str, population: Population, *sources: int) -> int:
        """Append a population as its exported integers, one source per synapse."""
        self.populations[name] = population
        with at(f"layer {name!r}"):
            population.check_calibrated()
            ints = population.integers()
            synapses = tuple(
                _synapse(source, synapse, _whole(weight), exponent)
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
        return self.add(
            PopulationSpec(
                name,
                population.shape,
                synapses,
                kind,
                bias if np.any(bias) else None,
                scale[:1] if np.all(scale == scale[0]) else scale,
            )
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
        super().add(layer)
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
