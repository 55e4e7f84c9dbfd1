"""What the energy model knows of a network: neurons, and geometry of their synapses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lava_mlsnn.errors import UnsupportedLayerError
from netx_export.spec import MultiLevel, NetworkSpec, Population, Readout, Shape, Synapse, need_spec
from netx_export.spec.geometry import Geometry
from netx_export.spec.timing import delays

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
    geometry : Geometry
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
    delay : int
        Timesteps that its messages wait.
    from_input, pools : bool
        Whether the sender is the input; whether it sums windows of each channel.
    """

    geometry: Geometry
    source: str
    source_shape: Shape
    shape: Shape
    payload: tuple[int, int]
    connections: int
    weights: int
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

    Parameters
    ----------
    spec : NetworkSpec or Structure
        A structure comes back as it is.

    Returns
    -------
    Structure
        Shapes and connections, without weights.

    Raises
    ------
    ConfigError
        If it is no network.
    UnsupportedLayerError
        For other neurons than multi-level ones and readouts: leaks have no energy here.
    """
    if isinstance(spec, Structure):
        return spec
    need_spec(spec)
    wait = delays(spec)
    last = len(spec.layers) - 1
    nodes = []
    for index, layer in spec.populations:
        if type(layer.neuron) not in (MultiLevel, Readout):
            raise UnsupportedLayerError(
                f"the energy model has no {layer.neuron.text} neuron, only multi-level ones",
                spec.label(index),
            )
        links = tuple(
            _link(spec, synapse, wait[index, k]) for k, synapse in enumerate(layer.synapses)
        )
        levels, biases = layer.neuron.spike_levels, _biases(layer)
        nodes.append(Node(layer.name, layer.shape, links, levels, biases, index == last))
    return Structure(tuple(nodes), spec.timesteps)


def _biases(layer: Population) -> int:
    return 0 if layer.bias is None or not layer.bias.any() else layer.bias.size


def _link(spec: NetworkSpec, synapse: Synapse, delay: int) -> Link:
    index = spec.sender(synapse.source)
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
    return Link(
        synapse.geometry,
        source,
        shape,
        synapse.output_shape(shape),
        payload,
        int(synapse.fan_out(shape).sum()),
        synapse.weight.size if synapse.multiplies else 0,
        delay=delay,
        from_input=from_input,
        pools=synapse.pools,
    )
