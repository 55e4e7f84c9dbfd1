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
stored per connection. Convolutions cannot wait (``lava_mlsnn/lava/network/hardware.py``):
one population of relays per timestep stands before them. A message of a dense source
needs an axon entry per neuron at both ends, others one per layer. The words are those
of the project's programs; the rest is assumed, see :mod:`lava_mlsnn.loihi2.fit.limits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Identity,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)
from netx_export.spec.kernels import Pair
from netx_export.spec.timing import delays

__all__ = ["HOST", "Group", "Link", "demand_of", "fan_out", "neuron_words", "rows_of"]

HOST = -1  # the samples come from outside the cores
STOCK_WORDS = 4  # a neuron of lava-dl: two states, bias, threshold (assumed)

Rows = tuple[int, int, int]  # (C, H, W); flat shapes are (F, 1, 1)


@dataclass(frozen=True)
class Link:
    """A synapse between two groups.

    Attributes
    ----------
    source : int
        Group that sends, or ``HOST``.
    kind : {"conv", "identity", "dense"}
        How it is stored.
    kernel, stride, padding, dilation : (int, int)
        Of a convolution, (H, W).
    channels : int
        Weights of a kernel per output channel, without its area.
    groups : int
        Of a convolution; for one-to-one synapses the number of channels.
    delay : int
        Timesteps that it waits on the chip.
    """

    source: int
    kind: str
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    channels: int = 1
    groups: int = 1
    delay: int = 0


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
        return sum(k.channels * math.prod(k.kernel) for k in self.links if k.kind == "conv")

    @property
    def connections(self) -> int:
        """Weights that every neuron has for itself."""
        return sum(k.channels if k.kind == "dense" else k.kind == "identity" for k in self.links)

    @property
    def fan_in(self) -> int:
        """Connections into a neuron."""
        return self.kernel + self.connections

    @property
    def stored(self) -> int:
        """Weights of the whole group, kernels once."""
        return self.shape[0] * self.kernel + self.neurons * self.connections

    @property
    def axons_in(self) -> int:
        """Entries on every core that holds a part."""
        return sum(k.channels if k.kind == "dense" else 1 for k in self.links)

    @property
    def relay(self) -> bool:
        """Whether it only makes a payload wait."""
        return self.sends != self.layer


def neuron_words(layer: Population, timesteps: int) -> int:
    """24-bit words that a neuron keeps: bias, and what its program cannot share.

    As :class:`lava_mlsnn.loihi2.program.allocation.Allocation` has them, without building arrays
    per neuron.
    """
    neuron = layer.neuron
    single = timesteps == 1
    if isinstance(neuron, MultiLevel):
        shared = np.unique(neuron.vth).size == 1 and (single or np.unique(neuron.v0).size == 1)
        return (1 if single else 3) + (0 if shared else 1 if single else 2)
    if isinstance(neuron, Readout):
        return 3 if neuron.integrate and not single else 1
    return STOCK_WORDS


def rows_of(shape: tuple[int, ...]) -> Rows:
    """(C, H, W) of any layer."""
    return (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])


@dataclass
class _Maker:
    spec: NetworkSpec
    groups: list[Group] = field(default_factory=list)
    place: dict[int, int] = field(default_factory=dict)  # file index: group

    def sender(self, index: int) -> tuple[int, int]:
        """Group and file index that send what layer ``index`` gives."""
        layer = self.spec.layers[index]
        if isinstance(layer, Flatten):
            return self.sender(layer.source)
        return self.place.get(index, HOST), index

    def link(self, index: int, k: int, synapse: Conv | Dense | Identity, delay: int) -> Link:
        source, sends = self.sender(synapse.source)
        if isinstance(synapse, Dense):
            return Link(source, "dense", channels=synapse.weight.shape[1], delay=delay)
        if isinstance(synapse, Identity):
            return Link(source, "identity", groups=synapse.weight.shape[0], delay=delay)
        name = f"{self.spec.layers[index].name}.synapse{k}"
        shape = rows_of(self.spec.layers[synapse.source].shape)
        for i in range(delay):
            hop = (Link(source, "identity", groups=shape[0]),)
            self.groups.append(Group(f"{name}.wait{i}", index, shape, 2, hop, sends))
            source = len(self.groups) - 1
        weight = synapse.weight
        return Link(
            source,
            "conv",
            (weight.shape[2], weight.shape[3]),
            synapse.stride,
            synapse.padding,
            synapse.dilation,
            weight.shape[1],
            synapse.groups,
        )


def demand_of(spec: NetworkSpec) -> tuple[Group, ...]:
    """Every group of a network, sources first.

    Parameters
    ----------
    spec : NetworkSpec
        Any network; neurons of lava-dl are counted with words that are assumed.
    """
    from netx_export.spec.graph import order

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
        words = neuron_words(layer, spec.timesteps) + sums
        make.groups.append(Group(layer.name, index, rows_of(layer.shape), words, links, index))
        make.place[index] = len(make.groups) - 1
    return _with_readers(make.groups)


def _with_readers(groups: list[Group]) -> tuple[Group, ...]:
    readers = [0] * len(groups)
    for group in groups:
        for link in group.links:
            if link.kind == "dense" and link.source != HOST:
                readers[link.source] += 1
    return tuple(replace(g, dense_readers=n) for g, n in zip(groups, readers, strict=True))


def fan_out(groups: tuple[Group, ...], source: int) -> int:
    """Most connections that leave one neuron of a group (or of ``HOST``)."""
    total = 0
    for group in groups:
        for link in group.links:
            if link.source != source:
                continue
            if link.kind == "dense":
                total += group.neurons
            elif link.kind == "identity":
                total += 1
            else:
                # taps that a position of the source can meet: those of one residue
                taps = [
                    -(-k // (s // math.gcd(s, d)))
                    for k, s, d in zip(link.kernel, link.stride, link.dilation, strict=True)
                ]
                reach = [min(t, n) for t, n in zip(taps, group.shape[1:], strict=True)]
                total += math.prod(reach) * group.shape[0] // link.groups
    return total
