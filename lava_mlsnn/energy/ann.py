"""Energy of the same network as an ANN: dense, or low-bit and skipping zeros.

Per synapse with m multiply-accumulates, per layer with n outputs::

    inputs      read                      m
    weights     read                      m
    outputs     written, biases read      n
    operations  m (E_mul + E_add); n bias additions; quantised: n ceil(log2(L + 1))
                comparisons with L = N T levels
    addresses   conv: inputs + outputs + Co k^2;  dense: inputs * outputs;  identity: outputs

Dense, m is the number of connections. Skipping zeros, m counts those whose input is not
0 (a neuron that sends in any timestep). T plays no further part: an ANN runs once, with
activations of ceil(log2(N T + 1)) bits. Finding the zeros is free, and so is keeping
sums while they grow: a lower bound for the ANN.

Source: Lemaire et al., arXiv:2210.13107; zero-skipping ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from lava_mlsnn.energy.constants import Constants
from lava_mlsnn.energy.result import Energy, LayerEnergy, Term
from lava_mlsnn.energy.structure import Link, Node, Structure, width

__all__ = ["artificial"]


def artificial(
    net: Structure,
    c: Constants,
    quantised: bool,
    active: dict[tuple[str, int], float] | None = None,
    small: bool = False,
) -> Energy:
    """Energy per sample as an ANN; see the module.

    Parameters
    ----------
    net : Structure
        The network.
    c : Constants
        The table.
    quantised : bool
        Activations of N T levels instead of ``activation_bits`` wide ones.
    active : dict, optional
        By layer name and number of the synapse: connections whose input is not 0.
        Without it every connection counts.
    small : bool
        A multiplier as wide as activation and weight, as ``Design.payload`` has it.
    """
    levels = {node.name: node.levels * net.timesteps for node in net.nodes}

    def bits(link: Link) -> float:
        if not quantised and not link.from_input:
            return c.activation_bits.value
        many = levels.get(link.source, 0)
        return width((0, many) if many else link.payload)

    name = "ann" if not quantised else "quantised ann" if active is None else "zero-skip"
    return Energy(
        name,
        tuple(
            LayerEnergy(
                node.name,
                (
                    *(
                        term
                        for k, link in enumerate(node.links)
                        for term in _synapse(
                            link,
                            link.connections if active is None else active[node.name, k],
                            bits(link),
                            k > 0,
                            c,
                            small,
                        )
                    ),
                    *_layer(node, levels[node.name] if quantised else 0, c, quantised),
                ),
            )
            for node in net.nodes
        ),
    )


def _synapse(
    link: Link, macs: float, bits: float, joins: bool, c: Constants, small: bool
) -> Iterator[Term]:
    add = c.add(c.sum_bits.value)
    yield Term("memory", "input reads", macs, c.access(link.inputs, bits))
    if link.weights:
        weight = c.access(link.weights, c.weight_bits.value)
        yield Term("memory", "weight reads", macs, weight)
    if link.weights and bits > 1:
        wide = c.weight_bits.value
        mul = c.mul_small(bits, wide) if small else c.mul(max(bits, wide))
        yield Term("operations", "multiply-accumulates", macs, mul + add)
    elif link.weights or joins:  # the first arm of a plain sum is only loaded
        yield Term("operations", "additions", macs, add)
    yield Term("addressing", "address additions", addresses(link), c.add(c.index_bits.value))


def addresses(link: Link) -> int:
    """Address additions of a layer that walks through its inputs in order."""
    outputs = math.prod(link.shape)
    match link.geometry.storage:
        case "kernel":
            return link.inputs + outputs + link.shape[0] * link.geometry.area
        case "matrix":
            return link.inputs * outputs
        case "diagonal":
            return outputs


def _layer(node: Node, levels: int, c: Constants, quantised: bool) -> Iterator[Term]:
    n, wide = node.neurons, c.sum_bits.value
    if node.biases:
        yield Term("memory", "bias reads", n, c.access(node.biases, wide))
        yield Term("operations", "bias additions", n, c.add(wide))
    bits = c.activation_bits.value
    if quantised or node.last:
        bits = width((0, levels)) if levels else wide
    yield Term("memory", "output writes", n, c.access(n, bits))
    if levels:
        yield Term("operations", "comparisons", n * math.ceil(math.log2(levels + 1)), c.add(wide))
