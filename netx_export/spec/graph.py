"""The network as a DAG: checks, order, and the latencies that balance it.

Every synapse takes one timestep. A layer's depth is its longest path from the
input in synapses; a shorter edge is delayed by the difference, so that all arms
of a sum meet in the same timestep (``docs/time.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Protocol

from netx_export.errors import FormatError, RangeError, at
from netx_export.spec import limits
from netx_export.spec.layers import Flatten, Input, Layer, Population
from netx_export.spec.widths import DELAY_MAX

__all__ = ["check_graph", "layer_depths", "order"]


class Wired(Protocol):
    """Anything with a name that reads layers."""

    @property
    def name(self) -> str: ...

    @property
    def sources(self) -> tuple[int, ...]: ...


def order(layers: Sequence[Wired]) -> list[int]:
    """Indices so that every source comes first; FormatError names a cycle or bad source."""
    done: list[int] = []
    state = [0] * len(layers)  # 0 new, 1 on the path, 2 done
    for start in range(len(layers)):
        stack = [(start, iter(layers[start].sources))] if state[start] == 0 else []
        if stack:
            state[start] = 1
        while stack:
            node, sources = stack[-1]
            source = next(sources, None)
            if source is None:
                state[node] = 2
                done.append(node)
                stack.pop()
                continue
            if not 0 <= source < len(layers):
                raise FormatError(
                    f"inputs must name a layer 0..{len(layers) - 1}, got {source}",
                    f"layer {node} ({layers[node].name})",
                )
            if state[source] == 1:
                path = [n for n, _ in stack]
                loop = [*path[path.index(source) :], source]
                raise FormatError(
                    "layers must not form a cycle, got " + " <- ".join(str(n) for n in loop),
                    f"layer {node} ({layers[node].name})",
                )
            if state[source] == 0:
                state[source] = 1
                stack.append((source, iter(layers[source].sources)))
    return done


def check_graph(layers: Sequence[Layer]) -> None:
    """Raise FormatError unless the layers form one connected DAG with fitting shapes."""
    for index, layer in enumerate(layers):
        if not isinstance(layer, Input | Flatten | Population):
            raise FormatError(
                f"it must be an Input, Flatten or Population, got {type(layer).__name__}",
                f"layer {index}",
            )
        if not isinstance(layer.name, str):
            raise FormatError(f"its name must be text, got {layer.name!r:.80}", f"layer {index}")
    if not layers or not isinstance(layers[0], Input):
        raise FormatError("layer 0 must be the input layer")
    if not isinstance(layers[-1], Population):
        raise FormatError("the last layer must have neurons (it is the output)")
    names: dict[str, int] = {}
    for index, layer in enumerate(layers):
        if layer.name in names:
            raise FormatError(
                f"layer names must differ, got {layer.name!r} for layers "
                f"{names[layer.name]} and {index}"
            )
        names[layer.name] = index
    order(layers)
    _check_sizes(layers)
    used = {source for layer in layers for source in layer.sources}
    for index, layer in enumerate(layers):
        with at(f"layer {index} ({layer.name})"):
            _check_shapes(layers, layer)
            if index > 0 and isinstance(layer, Input):
                raise FormatError("only layer 0 can be an input layer")
            if index < len(layers) - 1 and index not in used:
                raise FormatError("nothing reads this layer; remove it or connect it")
    latencies = layer_depths(layers)
    for index, layer in enumerate(layers):
        if isinstance(layer, Population):
            for source in layer.sources:
                delay = latencies[index] - latencies[source] - 1
                if delay > DELAY_MAX:
                    raise RangeError(
                        f"a shortcut can wait {DELAY_MAX} timesteps at most, but the one from "
                        f"layer {source} needs {delay}; put a relay on it",
                        f"layer {index} ({layer.name})",
                    )


def _check_sizes(layers: Sequence[Layer]) -> None:
    """Raise RangeError beyond :mod:`netx_export.spec.limits`."""
    synapses = [s for p in layers if isinstance(p, Population) for s in p.synapses]
    for what, found, most in (
        ("layers", len(layers), limits.MAX_LAYERS),
        ("neurons", sum(prod(layer.shape) for layer in layers), limits.MAX_ALL_NEURONS),
        ("weights", sum(s.weight.size for s in synapses), limits.MAX_ALL_WEIGHTS),
    ):
        if found > most:
            raise RangeError(f"a network can have {most} {what} at most, got {found}")


def _check_shapes(layers: Sequence[Layer], layer: Layer) -> None:
    if isinstance(layer, Flatten):
        size = prod(layers[layer.source].shape)
        if layer.shape != (size,):
            raise FormatError(
                f"shape must be ({size},) for a source of shape "
                f"{layers[layer.source].shape}, got {layer.shape}"
            )
    elif isinstance(layer, Population):
        for synapse in layer.synapses:
            shape = synapse.output_shape(layers[synapse.source].shape)
            if shape != layer.shape:
                raise FormatError(
                    f"the synapse from layer {synapse.source} gives shape {shape}, "
                    f"but the layer has {layer.shape}"
                )
            synapse.check_padding(layers[synapse.source].shape)


def layer_depths(layers: Sequence[Layer]) -> list[int]:
    """Longest path from the input to each layer, in synapses."""
    depth = [0] * len(layers)
    for index in order(layers):
        layer = layers[index]
        if layer.sources:
            step = 0 if isinstance(layer, Flatten) else 1
            depth[index] = step + max(depth[s] for s in layer.sources)
    return depth
