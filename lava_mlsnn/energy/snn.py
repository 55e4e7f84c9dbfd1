"""Energy of the event-driven network.

Per synapse with e events (payload p) of its source and s = sum of events times fan-out
(payload: q), in a machine whose messages wait in queues; per population with n neurons,
z events out::

    queue       read, and written by the sender       e            (burst: p)
    weights     read                                  s            (burst: q)
    potentials  read and written                      s            (burst: q)
    synapse     s (E_mul + E_add)  or  q E_add  or  s E_add where payloads are 0 and 1
    addresses   conv: 2 e (E_mul + E_add);  every kind: s E_add
    population  potentials read and written T n, biases read and added T n,
                T n ceil(log2(N + 1)) comparisons, z resets

Source: Lemaire et al., arXiv:2210.13107, with exact connection counts, and graded
payloads (ours); docs/energy.md lists what differs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from lava_mlsnn.activity.record import Activity, LayerActivity, SynapseActivity
from lava_mlsnn.energy.constants import Constants
from lava_mlsnn.energy.design import Design
from lava_mlsnn.energy.result import Energy, LayerEnergy, Term
from lava_mlsnn.energy.structure import Link, Node, Structure, width
from lava_mlsnn.errors import ConfigError

__all__ = ["matched", "spiking"]


def spiking(net: Structure, activity: Activity, c: Constants, design: Design) -> Energy:
    """Energy per sample of the spiking network; see the module."""
    return Energy(
        "snn",
        tuple(
            LayerEnergy(
                node.name,
                tuple(
                    term
                    for link, seen in zip(node.links, layer.synapses, strict=True)
                    for term in _synapse(node, link, seen, c, design)
                )
                + tuple(_population(node, layer, activity.timesteps, c, design)),
            )
            for node, layer in matched(net, activity)
        ),
    )


def matched(net: Structure, activity: Activity) -> list[tuple[Node, LayerActivity]]:
    """Every node with its activity; ConfigError if they are of different networks."""
    if not isinstance(activity, Activity):
        raise ConfigError(
            f"expected an Activity, got {type(activity).__name__}; lava_mlsnn.activity.measure or "
            "the result() of an ActivityMeter gives one"
        )
    found = {a.layer: a for a in activity.layers}
    if net.timesteps != activity.timesteps:
        raise ConfigError(
            f"activity must be of T = {net.timesteps} as the network, got {activity.timesteps}; "
            "measure it with the same file"
        )
    pairs = []
    for node in net.nodes:
        layer = found.get(node.name)
        fits = layer is not None and layer.neurons == node.neurons
        if layer is None or not fits or len(layer.synapses) != len(node.links):
            raise ConfigError(
                f"activity must be of the same network, but its layer {node.name!r} is missing or "
                "different; measure it with the same file"
            )
        pairs.append((node, layer))
    return pairs


def _synapse(
    node: Node, link: Link, seen: SynapseActivity, c: Constants, design: Design
) -> Iterator[Term]:
    burst = design.payload == "burst" and link.graded
    messages = seen.arriving.payload if burst else seen.arriving.events
    accesses = seen.operations.payload if burst else seen.operations.events
    address = max(1, math.ceil(math.log2(link.inputs)))
    bits = address + (width(link.payload) if link.graded and not burst else 0)
    bits += 1 if burst and link.payload[0] < 0 else 0  # the sign
    relays = link.delay if design.delay == "relay" else 0
    stretch = 1 + link.delay - relays
    queue = c.access(c.queue_words.value * stretch, bits)
    yield Term("memory", "queue reads", messages * (1 + relays), queue)
    written = relays if link.from_input else 1 + relays  # the host writes the input's
    yield Term("memory", "queue writes", messages * written, queue)
    if link.weights:
        weight = c.access(link.weights, c.weight_bits.value)
        yield Term("memory", "weight reads", accesses, weight)
    potential = c.access(node.neurons, c.sum_bits.value)
    yield Term("memory", "potential reads", accesses, potential)
    yield Term("memory", "potential writes", accesses, potential)
    yield from _operations(link, seen, c, design)
    if relays:  # a relay has a sum of its own, read, added to and written
        own = c.access(link.inputs, c.sum_bits.value)
        yield Term("memory", "relay reads", messages * relays, own)
        yield Term("memory", "relay writes", messages * relays, own)
        yield Term("operations", "additions", messages * relays, c.add(c.sum_bits.value))
    index = c.index_bits.value
    if link.geometry.storage == "kernel":
        yield Term(
            "addressing", "address multiply-accumulates", 2 * messages, c.mul(index) + c.add(index)
        )
    yield Term("addressing", "address additions", accesses, c.add(index))


def _operations(link: Link, seen: SynapseActivity, c: Constants, design: Design) -> Iterator[Term]:
    add = c.add(c.sum_bits.value)
    s, q = seen.operations.events, seen.operations.payload
    if design.payload == "burst":
        yield Term("operations", "additions", q, add)
    elif not link.graded or not link.weights:  # nothing to multiply
        yield Term("operations", "additions", s, add)
    elif design.payload == "adds":
        yield Term("operations", "additions", q, add)
    else:
        yield Term("operations", "multiply-accumulates", s, product(link, c, design) + add)


def product(link: Link, c: Constants, design: Design) -> float:
    """Payload times weight, pJ."""
    payload, weight = width(link.payload), c.weight_bits.value
    if design.payload == "small":
        return c.mul_small(payload, weight)
    return c.mul(max(payload, weight))


def _population(
    node: Node, layer: LayerActivity, timesteps: int, c: Constants, design: Design
) -> Iterator[Term]:
    updates = timesteps * node.neurons
    forget = timesteps == 1 and not design.persist
    potential = c.access(node.neurons, c.sum_bits.value)
    add = c.add(c.sum_bits.value)
    yield Term("memory", "potential reads", updates, potential)
    yield Term("memory", "potential writes", 0 if forget else updates, potential)
    if node.biases:
        bias = c.access(node.biases, c.sum_bits.value)
        yield Term("memory", "bias reads", updates, bias)
        yield Term("operations", "bias additions", updates, add)
    if not node.levels:
        return
    steps = math.ceil(math.log2(node.levels + 1))
    yield Term("operations", "comparisons", updates * steps, add)
    if forget:
        return
    # V - theta * z: theta is as wide as a sum
    if node.levels == 1:
        yield Term("operations", "resets", layer.events, add)
    elif design.payload in ("adds", "burst"):
        yield Term("operations", "resets", layer.payload, add)
    else:
        wide, payload = c.sum_bits.value, width((0, node.levels))
        small = design.payload == "small"
        mul = c.mul_small(payload, wide) if small else c.mul(wide)
        yield Term("operations", "resets", layer.events, mul + add)
