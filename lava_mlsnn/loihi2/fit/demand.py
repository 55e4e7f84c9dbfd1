"""What every layer of a network asks of neuro-cores: neurons, words, weights, axons.

The model of a core's memory, in bits, for the part of a layer that it holds:

    neurons * (words * word_bits + connections * (weight_bits + index_bits)
               + axons_out * axon_bits)
    + output channels that it holds * weights of a kernel * weight_bits
    + axons_in * axon_bits

``words`` of a neuron are what :mod:`lava_mlsnn.loihi2.program.allocation` keeps for it, and a
sum for this timestep and for every timestep that one of its inputs waits. A
convolution is stored once per output channel and core, whichever neurons of the
channel are there: a layer that is split over channels stores each kernel once, one that
is split over space stores all of them on every core. Dense and one-to-one synapses are
stored per connection. Convolutions cannot wait (``lava_mlsnn/lava/network/chip_synapses.py``):
one population of relays per timestep stands before them. A message of a dense source
needs an axon entry per neuron at both ends, others one per layer. The words are those
of the project's programs; the rest is assumed, see :mod:`lava_mlsnn.loihi2.fit.limits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from netx_export.spec import NetworkSpec, Population, Synapse
from netx_export.spec.geometry import Geometry, rows_of
from netx_export.spec.graph import order
from netx_export.spec.timing import delays

__all__ = ["HOST", "Group", "Link", "demand_of", "fan_out"]

HOST = -1  # the samples come from outside the cores

Rows = tuple[int, int, int]  # (C, H, W); flat shapes are (F, 1, 1)


@dataclass(frozen=True)
class Link:
    """A synapse between two groups.

    Attributes
    ----------
    source : int
        Group that sends, or ``HOST``.
    geometry : Geometry
        What it connects and how its weights are stored.
    delay : int
        Timesteps that it waits on the chip.
    """

    source: int
    geometry: Geometry
    delay: int = 0

    @property
    def addresses(self) -> int:
        """Axon entries at the target: one per source neuron of a matrix, else one."""
        return self.geometry.inner if self.geometry.storage == "matrix" else 1


@dataclass(frozen=True)
class Group:
    """Neurons that run one program: a layer, or the relays before one.

    Attributes
    ----------
    name : str
        The layer's; relays are called ``<layer>.synapse<k>.wait<i>``.
    layer : int
        Index in the file (of the layer that the relays serve).
    shape : (int, int, int)
        (C, H, W).
    words : int
        24-bit words per neuron.
    links : tuple of Link
        Synapses into it.
    sends : int
        File index of the layer whose payloads it sends (a relay: its source's).
    dense_readers : int
        Dense synapses that it feeds.
    """

    name: str
    layer: int
    shape: Rows
    words: int
    links: tuple[Link, ...]
    sends: int
    dense_readers: int = 0

    @property
    def neurons(self) -> int:
        """How many."""
        return math.prod(self.shape)

    @property
    def kernel(self) -> int:
        """Shared weights per output channel."""
        shared = [k.geometry for k in self.links if k.geometry.storage == "kernel"]
        return sum(geometry.weights for geometry in shared)

    @property
    def connections(self) -> int:
        """Weights that every neuron has for itself."""
        own = [k.geometry for k in self.links if k.geometry.storage != "kernel"]
        return sum(geometry.weights for geometry in own)

    @property
    def fan_in(self) -> int:
        """Connections into a neuron, borders aside."""
        return sum(link.geometry.fan_in for link in self.links)

    @property
    def stored(self) -> int:
        """Weights of the whole group, kernels once."""
        return self.shape[0] * self.kernel + self.neurons * self.connections

    @property
    def axons_in(self) -> int:
        """Entries on every core that holds a part."""
        return sum(k.addresses for k in self.links)

    @property
    def relay(self) -> bool:
        """Whether it only makes a payload wait."""
        return self.sends != self.layer


@dataclass
class _Maker:
    spec: NetworkSpec
    groups: list[Group] = field(default_factory=list)
    place: dict[int, int] = field(default_factory=dict)  # file index: group

    def link(self, index: int, k: int, synapse: Synapse, delay: int) -> Link:
        sends = self.spec.sender(synapse.source)
        source = self.place.get(sends, HOST)
        if synapse.geometry.storage != "kernel":
            return Link(source, synapse.geometry, delay)
        name = f"{self.spec.layers[index].name}.synapse{k}"
        shape = rows_of(self.spec.layers[synapse.source].shape)
        for i in range(delay):
            hop = (Link(source, Geometry(groups=shape[0], storage="diagonal")),)
            self.groups.append(Group(f"{name}.wait{i}", index, shape, 2, hop, sends))
            source = len(self.groups) - 1
        return Link(source, synapse.geometry)


def demand_of(spec: NetworkSpec) -> tuple[Group, ...]:
    """Every group of a network, sources first.

    Parameters
    ----------
    spec : NetworkSpec
        Any network; neurons of lava-dl are counted with words that are assumed.
    """
    make, waits = _Maker(spec), delays(spec)
    for index in order(spec.layers):
        layer = spec.layers[index]
        if not isinstance(layer, Population):
            continue
        links = tuple(
            make.link(index, k, synapse, waits[index, k])
            for k, synapse in enumerate(layer.synapses)
        )
        sums = 1 + max(link.delay for link in links)
        words = layer.neuron.words(spec.timesteps) + sums
        make.groups.append(Group(layer.name, index, rows_of(layer.shape), words, links, index))
        make.place[index] = len(make.groups) - 1
    return _with_readers(make.groups)


def _with_readers(groups: list[Group]) -> tuple[Group, ...]:
    readers = [0] * len(groups)
    for group in groups:
        for link in group.links:
            if link.geometry.storage == "matrix" and link.source != HOST:
                readers[link.source] += 1
    return tuple(replace(g, dense_readers=n) for g, n in zip(groups, readers, strict=True))


def fan_out(groups: tuple[Group, ...], source: int) -> int:
    """Most connections that leave one neuron of a group (or of ``HOST``)."""
    return sum(
        link.geometry.most_reached(group.shape[1:])
        for group in groups
        for link in group.links
        if link.source == source
    )
