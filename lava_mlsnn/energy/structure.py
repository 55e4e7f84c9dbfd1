"""What the energy model knows of a network: neurons, and geometry of their synapses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lava_mlsnn.activity.blocks import sender
from lava_mlsnn.activity.fanout import connections
from lava_mlsnn.errors import UnsupportedLayerError
from netx_export.spec import Conv, MultiLevel, NetworkSpec, Shape, StockNeuron, Synapse, need_spec

if TYPE_CHECKING:
    from netx_export.spec import Population

__all__ = ["Link", "Node", "Structure", "link_of", "structure", "width"]


def width(payload: tuple[int, int]) -> int:
    """Bits of a payload from low to high, the sign included."""
    low, high = payload
    return max(1, max(high, -low - 1).bit_length()) + (1 if low < 0 else 0)


@dataclass(frozen=True)
class Link:
    """One synapse.

    Attributes
    ----------
    kind : {"conv", "dense", "identity"}
        Of the synapse.
    source : str
        Sender.
    source_shape, shape : tuple of int
        Shapes of sender and reader.
    payload : (int, int)
        Smallest and largest payload that the sender sends.
    connections : int
        Exactly, borders taken off.
    weights : int
        Stored; 0 for an identity of gain 1, which only adds.
    kernel, stride : (int, int)
        Of a convolution, else (1, 1).
    groups : int
        Of a convolution.
    delay : int
        Timesteps that its messages wait.
    from_input, pools : bool
        Whether the sender is the input; whether it sums windows of each channel.
    """

    kind: str
    source: str
    source_shape: Shape
    shape: Shape
    payload: tuple[int, int]
    connections: int
    weights: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    groups: int = 1
    delay: int = 0
    from_input: bool = False
    pools: bool = False

    @property
    def graded(self) -> bool:
        """Whether messages carry more than that they were sent."""
        return self.payload != (0, 1)

    @property
    def inputs(self) -> int:
        """Neurons that send."""
        return math.prod(self.source_shape)


@dataclass(frozen=True)
class Node:
    """A population: ``levels`` is N (0 if it only passes its sum on), ``biases`` are stored."""

    name: str
    shape: Shape
    links: tuple[Link, ...]
    levels: int
    biases: int = 0
    last: bool = False

    @property
    def neurons(self) -> int:
        """Size."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Structure:
    """A network without its numbers."""

    nodes: tuple[Node, ...]
    timesteps: int = 1


def structure(spec: NetworkSpec | Structure) -> Structure:
    """Structure of a network.

    Raises
    ------
    ConfigError
        If it is no network.
    UnsupportedLayerError
        For neurons of lava-dl: their leak and traces have no energy here.
    """
    from netx_export.spec.timing import delays

    if isinstance(spec, Structure):
        return spec
    need_spec(spec)
    wait = delays(spec)
    last = len(spec.layers) - 1
    nodes = []
    for index, layer in spec.populations:
        if isinstance(layer.neuron, StockNeuron):
            raise UnsupportedLayerError(
                f"the energy model has no {layer.neuron.type} neuron, only multi-level ones",
                spec.label(index),
            )
        links = tuple(
            _link(spec, synapse, wait[index, k]) for k, synapse in enumerate(layer.synapses)
        )
        levels = layer.neuron.levels if isinstance(layer.neuron, MultiLevel) else 0
        nodes.append(Node(layer.name, layer.shape, links, levels, _biases(layer), index == last))
    return Structure(tuple(nodes), spec.timesteps)


def _biases(layer: Population) -> int:
    return 0 if layer.bias is None or not layer.bias.any() else layer.bias.size


def _link(spec: NetworkSpec, synapse: Synapse, delay: int) -> Link:
    index = sender(spec, synapse.source)
    source = spec.layers[index]
    payload = source.payload  # type: ignore[union-attr]  # a flatten layer does not send
    seen = spec.layers[synapse.source].shape
    return link_of(synapse, source.name, seen, payload, delay, index == 0)


def link_of(
    synapse: Synapse,
    source: str,
    shape: Shape,
    payload: tuple[int, int],
    delay: int = 0,
    from_input: bool = False,
) -> Link:
    """Link of one synapse that reads ``shape``."""
    kind = type(synapse).__name__.lower()
    weights, pools = synapse.weight.size, False
    more: dict[str, tuple[int, int]] = {}
    groups = 1
    if isinstance(synapse, Conv):
        more = {"kernel": (synapse.weight.shape[2], synapse.weight.shape[3])}
        more["stride"] = (synapse.stride[0], synapse.stride[1])
        groups = synapse.groups
        flat = synapse.weight.reshape(synapse.weight.shape[0], -1)
        alike = flat.shape[1] > 1 and bool(np.all(flat == flat[:, :1]))
        pools = alike and groups == shape[0] == len(flat) and synapse.padding == (0, 0)
    elif kind == "identity" and synapse.weight_exp == 0 and np.all(synapse.weight == 1):
        weights = 0
    return Link(
        kind,
        source,
        shape,
        synapse.output_shape(shape),
        payload,
        connections(synapse, shape),
        weights,
        groups=groups,
        delay=delay,
        from_input=from_input,
        pools=pools,
        **more,
    )
