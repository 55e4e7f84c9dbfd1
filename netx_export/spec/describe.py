"""A network as a readable table."""

from __future__ import annotations

from netx_export.spec import Conv, Flatten, Input, MultiLevel, NetworkSpec, Population, Readout
from netx_export.spec.messages import sent_bits
from netx_export.spec.timing import delays, depths

__all__ = ["network_table"]

HEADER = ("#", "layer", "shape", "from", "synapse", "delay", "neuron", "bits", "step")


def network_table(spec: NetworkSpec) -> str:
    """One line a synapse; ``step`` is the layer's depth, ``bits`` its payload width."""
    depth, waits = depths(spec), delays(spec)
    rows = [HEADER]
    for index, layer in enumerate(spec.layers):
        shape = "x".join(str(n) for n in layer.shape)
        end = (_neuron(layer), str(sent_bits(spec, index)), str(depth[index]))
        start = (str(index), layer.name, shape)
        if not isinstance(layer, Population):
            source = ",".join(str(s) for s in layer.sources)
            rows.append((*start, source, "flatten" if source else "input", "", *end))
            continue
        for k, synapse in enumerate(layer.synapses):
            what = type(synapse).__name__.lower()
            if isinstance(synapse, Conv):
                what += " {}x{}".format(*synapse.weight.shape[2:])
                what += "" if synapse.stride == (1, 1) else " /{}x{}".format(*synapse.stride)
                what += "" if synapse.groups == 1 else f" groups {synapse.groups}"
            wait = str(waits[index, k] or "")
            head, tail = (start, end) if k == 0 else (("", "", ""), ("", "", ""))
            rows.append((*head, str(synapse.source), what, wait, *tail))
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _neuron(layer: Input | Flatten | Population) -> str:
    neuron = None if isinstance(layer, Flatten) else layer.neuron
    if neuron is None:
        return ""
    if isinstance(neuron, MultiLevel):
        return f"multi-level N={neuron.levels}"
    if isinstance(neuron, Readout):
        return "readout" if neuron.integrate else "relay"
    return neuron.type
