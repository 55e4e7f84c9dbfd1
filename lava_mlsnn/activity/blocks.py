"""Where blocks end, read off a network's names and edges."""

from __future__ import annotations

from netx_export.spec import NetworkSpec
from netx_export.spec.geometry import Geometry
from netx_export.spec.timing import depths

__all__ = ["block_outputs", "feeds_weights"]


def feeds_weights(spec: NetworkSpec) -> set[int]:
    """Layers that a convolution or dense synapse reads (identity synapses only pass on)."""
    return {
        spec.sender(synapse.source)
        for _, layer in spec.populations
        for synapse in layer.synapses
        if synapse.geometry.storage != "diagonal"
    }


def block_outputs(spec: NetworkSpec) -> list[list[int]]:
    """Outputs of the network's blocks, by stage.

    Populations whose names share what stands before the last dot are a block
    (``stage1_block1.conv2``); it sends from those of them that another block reads. A
    population without a dot is a block if several synapses sum into it. The output is
    none, and neither is what never mixes channels, such as max pooling. Blocks with
    outputs of one shape, in the order of depth, are a stage.

    Returns
    -------
    list of list of int
        Layer indices. Source: ours (a file does not store blocks).
    """
    last = len(spec.layers) - 1
    group = {i: p.name.rpartition(".")[0] or p.name for i, p in spec.populations}
    read_outside = {
        source
        for i, layer in spec.populations
        for source in (spec.sender(s) for s in layer.sources)
        if source in group and group[source] != group[i]
    }
    mixing = {group[i] for i, p in spec.populations if any(_mixes(s.geometry) for s in p.synapses)}
    outputs = [
        i
        for i, layer in spec.populations
        if i != last
        and i in read_outside
        and (group[i] in mixing if "." in layer.name else len(layer.synapses) > 1)
    ]
    depth = depths(spec)
    stages: list[list[int]] = []
    for i in sorted(outputs, key=lambda i: (depth[i], i)):
        if not stages or spec.layers[stages[-1][-1]].shape != spec.layers[i].shape:
            stages.append([])
        stages[-1].append(i)
    return stages


def _mixes(geometry: Geometry) -> bool:
    """Whether one channel of the target gets several of the source's, or its only one."""
    return geometry.storage != "diagonal" and (geometry.inner > 1 or geometry.groups == 1)
