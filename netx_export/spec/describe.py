"""A network as a readable table: the one that the command line and the Process show."""

from __future__ import annotations

from typing import Any

from netx_export.spec.layers import Flatten, Input, Layer
from netx_export.spec.network import NetworkSpec
from netx_export.spec.timing import delays, depths

__all__ = ["describe", "network_table"]


def describe(spec: NetworkSpec) -> list[dict[str, Any]]:
    """One row per layer: structure, kinds, time."""
    depth, delay = depths(spec), delays(spec)
    return [
        {
            "layer": index,
            "name": layer.name,
            "shape": "x".join(str(n) for n in layer.shape),
            "synapses": _synapses(layer, index, delay),
            "neuron": "" if _neuron(layer) is None else _neuron(layer).text,
            "message bits": spec.sent_bits(index),
            "depth": depth[index],
        }
        for index, layer in enumerate(spec.layers)
    ]


def network_table(spec: NetworkSpec) -> str:
    """:func:`describe` as text with aligned columns."""
    found = describe(spec)
    rows = [tuple(found[0]), *(tuple(str(v) for v in row.values()) for row in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _neuron(layer: Layer) -> Any:
    return None if isinstance(layer, Flatten) else layer.neuron


def _synapses(layer: Layer, index: int, delay: dict[tuple[int, int], int]) -> str:
    if isinstance(layer, Input):
        return ""
    if isinstance(layer, Flatten):
        return f"flatten({layer.source})"
    parts = []
    for k, synapse in enumerate(layer.synapses):
        wait = f" after {delay[index, k]}" if delay[index, k] else ""
        parts.append(f"{synapse.text}({synapse.source}){wait}")
    return " + ".join(parts)
