"""The graph of a network as SVG: boxes from input to output, shortcuts beside them."""

from __future__ import annotations

from dataclasses import dataclass

from netx_export.spec import Flatten, Input, NetworkSpec, Population
from netx_export.spec.timing import delays, depths

__all__ = ["Box", "Edge", "Graph", "graph_of"]

LEFT, WIDE, HIGH, GAP, LANE = 4, 232, 34, 22, 9


@dataclass(frozen=True)
class Box:
    """A layer."""

    y: int
    name: str
    words: str
    depth: int


@dataclass(frozen=True)
class Edge:
    """A synapse: straight to the next box, or a path beside them."""

    path: str
    label: str
    x: int
    y: int


@dataclass(frozen=True)
class Graph:
    """What the template draws."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def graph_of(spec: NetworkSpec) -> Graph:
    """Places of all layers with neurons, in the order of their depth.

    Parameters
    ----------
    spec : NetworkSpec
        The network; a flatten has no box of its own.

    Returns
    -------
    Graph
        In pixels.
    """
    depth, delay = depths(spec), delays(spec)
    there = [i for i, layer in enumerate(spec.layers) if not isinstance(layer, Flatten)]
    there.sort(key=lambda i: (depth[i], i))
    row = {index: k for k, index in enumerate(there)}

    def top(index: int) -> int:
        return 4 + row[index] * (HIGH + GAP)

    edges: list[Edge] = []
    lanes: list[int] = []  # the row in which each lane is free again
    jumps = sorted(
        (row[spec.sender(s.source)], row[i], s.text, i, k)
        for i, layer in spec.populations
        for k, s in enumerate(layer.synapses)
    )
    for begin, end, text, index, k in jumps:
        wait = delay[index, k]
        label = text + (f", waits {wait}" if wait else "")
        source = there[begin]
        if end == begin + 1:
            x, y = LEFT + 24, top(source) + HIGH
            edges.append(Edge(f"M{x} {y}V{y + GAP - 1}", label, x + 8, y + GAP // 2 + 4))
            continue
        lane = next((n for n, free in enumerate(lanes) if free <= begin), len(lanes))
        lanes[lane : lane + 1] = [end]
        x, out = LEFT + WIDE, LEFT + WIDE + 10 + LANE * lane
        y0, y1 = top(source) + HIGH - 8, top(index) + 8
        edges.append(Edge(f"M{x} {y0}H{out}V{y1}H{x + 1}", "", 0, 0))
    boxes = tuple(Box(top(i), spec.layers[i].name, _words(spec.layers[i]), depth[i]) for i in there)
    width = LEFT + WIDE + 16 + LANE * max(1, len(lanes))
    return Graph(width, 8 + len(there) * (HIGH + GAP) - GAP, boxes, tuple(edges))


def _words(layer: Input | Population | Flatten) -> str:
    shape = "x".join(str(n) for n in layer.shape)
    if isinstance(layer, Input):
        return f"{shape}, payload {layer.payload[0]}..{layer.payload[1]}"
    return shape if isinstance(layer, Flatten) else f"{shape}, {layer.neuron.text}"
