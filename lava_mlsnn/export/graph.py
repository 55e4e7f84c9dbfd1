"""What a forward computes: uses of blocks, and what feeds them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from netx_export.builder import Builder, Joined
from netx_export.errors import ConfigError, UnsupportedLayerError
from netx_export.spec import Flatten
from netx_export.spec.synapses.parts import Part

__all__ = [
    "DATA",
    "NOWHERE",
    "Graph",
    "Join",
    "Node",
    "Offence",
    "View",
    "build",
    "named",
    "refuse",
    "role_of",
]

DATA = -1  # the source of what reads the model's own argument
NOWHERE = -2  # of what comes after an offence: nothing more to say about it


@dataclass(frozen=True)
class Offence:
    """One place of a forward that no exported network can follow."""

    what: str  # "layer 'act': ReLU" or "relu()"
    why: str  # what is wrong, and what to use instead
    place: str = ""  # file:line of the user's forward

    def __str__(self) -> str:
        place = f" ({self.place})" if self.place else ""
        return f"{self.what}{place} {self.why}"


LISTED = 16  # places of an error


def refuse(offences: list[Offence]) -> UnsupportedLayerError:
    """The one error for all places, each once; of dozens the first ones."""
    places = list(dict.fromkeys(map(str, offences)))
    if len(places) == 1:
        return UnsupportedLayerError(places[0])
    listed = "; ".join(f"({k}) {text}" for k, text in enumerate(places[:LISTED], 1))
    if len(places) > LISTED:
        listed += f"; and {len(places) - LISTED} more"
    return UnsupportedLayerError(
        f"the forward has {len(places)} places that no exported network can follow: {listed}"
    )


@dataclass(frozen=True)
class Node:
    """One use of a block.

    Attributes
    ----------
    name : str
        Unique; the layer's name in the file, or the stem of its names.
    module : Module
        Has a method ``layers(builder, name, source)``; a population takes several sources.
    sources : tuple of int
        Nodes that feed it, or ``DATA``.
    shape : tuple of int
        Of what it sends, without samples and T.
    payload : (int, int) or None
        Smallest and largest payload in units of spikes; None for membranes and scores.
    made : bool
        Whether the tracer made the module, for an addition, a reshape or joined channels.
    """

    name: str
    module: torch.nn.Module
    sources: tuple[int, ...]
    shape: tuple[int, ...]
    payload: tuple[int, int] | None
    made: bool = False


@dataclass(frozen=True)
class Graph:
    """A forward as uses of blocks, in the order in which they are called.

    Attributes
    ----------
    nodes : tuple of Node
        Also those that the result does not need.
    output : int
        The node whose payload forward returns.
    last : bool
        Whether it returns the last timestep alone.
    factor : float
        Positive number that forward multiplies the result with (1 / T, say).
    item : int or None
        Where the result stands if forward returns a tuple or list.
    static, timed : bool
        Whether forward takes (N, ...) and (N, ..., T).
    """

    nodes: tuple[Node, ...]
    output: int
    last: bool
    factor: float
    item: int | None = None
    static: bool = False
    timed: bool = False

    @property
    def needed(self) -> set[int]:
        """The output and all that feeds it."""
        found, ahead = set(), [self.output]
        while ahead:
            index = ahead.pop()
            if index != DATA and index not in found:
                found.add(index)
                ahead += self.nodes[index].sources
        return found

    def same(self, other: Graph) -> bool:
        """Whether both compute the same, whatever shapes they take."""

        def key(graph: Graph) -> object:
            nodes = [(_same_for(n), n.sources, n.shape) for n in graph.nodes]
            return nodes, graph.output, graph.last, graph.factor, graph.item

        return key(self) == key(other)


class View(torch.nn.Module):
    """A flatten that the forward does itself."""

    role = "view"

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = (math.prod(shape),)

    def layers(self, builder: Builder, name: str, source: int) -> int:
        """Add the view to an export."""
        return builder.add(Flatten(source, self.shape, name))


class Join(torch.nn.Module):
    """Channels of several payloads, or some of one: what their readers split.

    Attributes
    ----------
    parts : tuple of (shape, own, joined)
        Per source as in :class:`netx_export.spec.synapses.parts.Part`.
    """

    role = "join"

    def __init__(self, parts: tuple[tuple[tuple[int, ...], np.ndarray, np.ndarray], ...]) -> None:
        super().__init__()
        self.parts = parts

    def layers(self, builder: Builder, name: str, *sources: int) -> Joined:
        """No layer: what a population reads as one."""
        each = zip(sources, self.parts, strict=True)
        return Joined(tuple(Part(source, *part) for source, part in each))

    def join(self, payloads: list[np.ndarray]) -> np.ndarray:
        """The joined payload, (N, C, ...)."""
        own = [y[:, k] for y, (_, k, _) in zip(payloads, self.parts, strict=True)]
        order = np.argsort(np.concatenate([joined for _, _, joined in self.parts]))
        return np.concatenate(own, 1)[:, order]


def _same_for(node: Node) -> object:
    """What two nodes of one kind have in common."""
    if isinstance(node.module, Join):
        return [(own.tolist(), joined.tolist()) for _, own, joined in node.module.parts]
    return node.made or id(node.module)


def role_of(module: torch.nn.Module) -> str:
    """What its class says that it is: "input", "view", "join", "output", or ""."""
    return str(getattr(type(module), "role", ""))


def build(graph: Graph, builder: Builder, everything: bool = False) -> Builder:
    """Ask the blocks for their layers, in order; without those that nothing needs."""
    needed = set(range(len(graph.nodes))) if everything else graph.needed
    index: dict[int, int | Joined] = {DATA: -1}
    for k, node in enumerate(graph.nodes):
        if k in needed:
            sources = (index[s] for s in node.sources)
            last = node.module.layers(builder, node.name, *sources)  # type: ignore[operator]
            if not isinstance(last, Joined) and (not isinstance(last, int) or last < 0):
                raise ConfigError(
                    "layers must return the index of the last layer that it adds, as builder.add "
                    f"and builder.population do, got {last!r:.80}",
                    f"layer {node.name!r}",
                )
            index[k] = last
    return builder


def named(nodes: list[Node]) -> tuple[Node, ...]:
    """Nodes with unique names, without the path that all blocks have in common."""
    own = [node.name.split(".")[:-1] for node in nodes if not node.made]
    common: list[str] = []
    for parts in zip(*own, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    stem = ".".join([*common, ""]) if common else ""
    theirs = {node.name.removeprefix(stem) for node in nodes if not node.made}
    taken: set[str] = set()
    out: list[Node] = []
    for node in nodes:
        plain = node.name.removeprefix(stem)
        if isinstance(node.module, Join):  # no layer
            out.append(node)
            continue
        if node.made and role_of(node.module) == "view":  # a flatten goes by its source
            plain = f"{out[node.sources[0]].name}.{plain}"
        name, use = plain, 1
        while name in taken or (node.made and name in theirs):
            use += 1
            name = f"{plain}{use}" if node.made else f"{plain}_use{use}"
        taken.add(name)
        out.append(replace(node, name=name))
    return tuple(out)
