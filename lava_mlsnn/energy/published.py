"""The original's counts, with its slips, to reproduce reported figures.

Memories are counted in words, all integers are 32 bits wide, borders are ignored and
pooling is free. With Ci, Hi, Wi inputs, Co, Ho, Wo outputs, k x k taps, stride S, and
a, z events in and out per sample, a conv layer costs

    ANN  Ci Co Ho Wo k^2 reads of input and of weights, and as many E_MAC; Co Ho Wo reads of
         biases, writes, E_add;  CiHiWi + CoHoWo + Co k^2 address additions
    SNN  a reads and z writes of the queue;  a Co k^2 reads of weights;
         a Co k^2 + T Co Ho Wo reads and writes of potentials;  T Co Ho Wo reads of biases;
         a ceil(k/S)^2 Co + T Co Ho Wo + z additions;  2 a E_MAC and a k^2 E_add of addresses

Inputs with payloads beyond 0 and 1 ("hybrid") are counted in one timestep only, but for
potentials, and multiply: Ci Co Ho Wo k^2 times the density of a timestep.

Source: Lemaire et al., arXiv:2210.13107, as described in notes of LEAT's evaluation
(second-hand); written from the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from lava_mlsnn.activity.record import Activity, LayerActivity
from lava_mlsnn.energy.constants import Constants
from lava_mlsnn.energy.result import Energy, LayerEnergy, Term
from lava_mlsnn.energy.snn import matched
from lava_mlsnn.energy.structure import Link, Node, Structure, link_of
from lava_mlsnn.errors import UnsupportedLayerError
from netx_export.spec import Conv, Dense

__all__ = ["published_ann", "published_snn", "published_vgg16"]

VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def published_ann(net: Structure, c: Constants) -> Energy:
    """Energy per sample of the dense ANN, as the original counts."""
    layers = (LayerEnergy(node.name, tuple(_ann(node, c))) for node in net.nodes)
    return Energy("ann", tuple(layers))


def published_snn(net: Structure, activity: Activity, c: Constants) -> Energy:
    """Energy per sample of the spiking network, as the original counts."""
    layers = (
        LayerEnergy(node.name, tuple(_snn(node, layer, activity.timesteps, c)))
        for node, layer in matched(net, activity)
    )
    return Energy("snn", tuple(layers))


def published_vgg16(hidden: tuple[int, ...] = (512, 512), classes: int = 10) -> Structure:
    """VGG16 on 3x32x32 images: 3x3 convolutions, free 2x2 pools, dense layers, biases.

    The reading that gives the reported 12.9 mJ (docs/energy.md): 313.7 million MACs with
    two hidden dense layers of 512.

    Parameters
    ----------
    hidden : tuple of int
        Hidden dense layers.
    classes : int
        Outputs.

    Returns
    -------
    Structure
        For :func:`snn_energy` and :func:`ann_energy`.
    """
    nodes: list[Node] = []
    last, shape = "input", (3, 32, 32)

    def add(name: str, link: Link, levels: int = 1) -> str:
        ends = name == "output"
        nodes.append(Node(name, link.shape, (link,), 0 if ends else levels, link.shape[0], ends))
        return name

    def kernel(*size: int) -> np.ndarray:
        return np.zeros(size, np.int32)  # only its shape counts

    for stage, widths in enumerate(VGG16, 1):
        for place, width in enumerate(widths, 1):
            conv = Conv(0, kernel(width, shape[0], 3, 3), padding=(1, 1))
            first = last == "input"
            payload = (0, 255) if first else (0, 1)
            link = link_of(conv, last, shape, payload, from_input=first)
            last, shape = add(f"conv{stage}_{place}", link), (width, *shape[1:])
        shape = (shape[0], shape[1] // 2, shape[2] // 2)
    inputs = math.prod(shape)
    for place, width in enumerate((*hidden, classes), 1):
        link = link_of(Dense(0, kernel(width, inputs)), last, (inputs,), (0, 1))
        last = add("output" if place > len(hidden) else f"dense{place}", link)
        inputs = width
    return Structure(tuple(nodes))


def _fan(link: Link) -> int:
    """Connections of an event far from every border."""
    return link.geometry.outer * link.geometry.area


def _nominal(link: Link) -> int:
    """Multiply-accumulates of the ANN, those on padding included."""
    return math.prod(link.shape) * link.geometry.weights


def _weighted(node: Node) -> list[Link]:
    if any(link.geometry.transposed for link in node.links):
        raise UnsupportedLayerError(
            f"the original counts no transposed convolution, and layer {node.name!r} has one; "
            "leave as_published out"
        )
    return [link for link in node.links if link.geometry.storage != "diagonal" and not link.pools]


def _ann(node: Node, c: Constants) -> Iterator[Term]:
    add, mac, n = c.add_32.value, c.mul_32.value + c.add_32.value, node.neurons
    for link in _weighted(node):
        macs = _nominal(link)
        yield Term("memory", "input reads", macs, c.access(link.inputs, 1))
        yield Term("memory", "weight reads", macs, c.access(link.weights, 1))
        yield Term("operations", "multiply-accumulates", macs, mac)
        yield Term("memory", "output writes", n, c.access(n, 1))
        steps = link.inputs * n
        if link.geometry.storage == "kernel":
            steps = link.inputs + n + link.shape[0] * link.geometry.area
        yield Term("addressing", "address additions", steps, add)
    if _weighted(node) and node.biases:
        yield Term("memory", "bias reads", n, c.access(node.biases, 1))
        yield Term("operations", "bias additions", n, add)
    arms = len(node.links)
    if arms > 1:  # an Add layer; sizes summed instead of multiplied, only channels written
        yield Term("memory", "input reads", arms * sum(node.shape), c.access(n, 1))
        yield Term("memory", "output writes", node.shape[0], c.access(n, 1))
        yield Term("operations", "additions", (arms - 1) * n, add)
        yield Term("addressing", "address additions", n, add)


def _snn(node: Node, layer: LayerActivity, timesteps: int, c: Constants) -> Iterator[Term]:
    links = list(zip(node.links, layer.synapses, strict=True))
    links = [(link, seen) for link, seen in links if link in _weighted(node)]
    if not links:  # sums of spikes share a queue, pools are not looked at
        return
    add, mac, n = c.add_32.value, c.mul_32.value + c.add_32.value, node.neurons
    queue, potential = c.access(c.queue_words.value, 1), c.access(n, 1)
    sent = layer.events if node.levels else 0.0
    hybrid = any(link.graded for link, _ in links)
    for link, seen in links:
        events = seen.arriving.events
        once = events / timesteps if link.graded else events
        density = events / (timesteps * link.inputs)
        yield Term("memory", "queue reads", once, queue)
        yield Term("memory", "weight reads", once * _fan(link), c.access(link.weights, 1))
        yield Term("memory", "potential reads", events * _fan(link), potential)
        yield Term("memory", "potential writes", events * _fan(link), potential)
        if link.graded:
            yield Term("operations", "multiply-accumulates", _nominal(link) * density, mac)
        else:
            form = link.geometry
            taps = math.prod(
                math.ceil(k / s) for k, s in zip(form.kernel, form.stride, strict=True)
            )
            fan = taps * form.outer
            yield Term("operations", "additions", events * fan, add)
        if link.geometry.storage == "kernel":
            yield Term("addressing", "address multiply-accumulates", 2 * once, mac)
            yield Term("addressing", "address additions", once * link.geometry.area, add)
        else:
            yield Term("addressing", "address additions", density * n, add)
    yield Term("memory", "queue writes", sent, queue)
    updates = timesteps * n
    yield Term("memory", "potential reads", updates, potential)
    yield Term("memory", "potential writes", updates, potential)
    if node.biases:
        yield Term("memory", "bias reads", updates, c.access(node.biases, 1))
    yield Term("operations", "bias additions", n if hybrid else updates, add)
    yield Term("operations", "resets", sent, add)
