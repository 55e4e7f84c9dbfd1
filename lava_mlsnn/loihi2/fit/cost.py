"""What a row of a layer costs a core, and what all of them cost at least.

A row is (one output channel, one line of W neurons), the smallest thing that is placed.
Rows are numbered channel by channel, all groups one after the other. A core that holds
the rows of a set R pays, for every resource, the sum over R, once per channel of R the
channel's kernels, and once per group of R its incoming axons.

Each row and kernel is somewhere, and each group on at least one core, so no mapping
needs fewer cores than

    bound = max over resources of ceil(total / capacity).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lava_mlsnn.loihi2.fit.demand import Group
from lava_mlsnn.loihi2.fit.limits import Limits

__all__ = ["RESOURCES", "Cost", "cost_of", "cost_of_all", "lower_bound"]

RESOURCES = ("neurons", "memory", "synapses", "axons in", "axons out", "layers")
Amounts = np.ndarray  # int64 (len(RESOURCES),)


@dataclass(frozen=True)
class Cost:
    """Of one group, in the order of :data:`RESOURCES`.

    Attributes
    ----------
    row, channel, core : ndarray of int64
        Per row, once per channel on a core, once per core.
    """

    row: Amounts
    channel: Amounts
    core: Amounts


def cost_of(group: Group, limits: Limits) -> Cost:
    """Cost of the parts of a group; memory in bits."""
    width = group.shape[2]
    weight = limits["weight_bits"]
    axon = limits["axon_bits"]
    # a dense reader addresses every neuron by itself, the others a whole layer
    axons_out = width * group.dense_readers
    memory = width * group.words * limits["word_bits"]
    memory += width * group.connections * (weight + limits["index_bits"])
    memory += axons_out * axon
    row = (width, memory, width * group.connections, 0, axons_out, 0)
    channel = (0, group.kernel * weight, group.kernel, 0, 0, 0)
    core = (0, group.axons_in * axon + axon, 0, group.axons_in, 1, 1)
    return Cost(*(np.array(x, np.int64) for x in (row, channel, core)))


def cost_of_all(groups: tuple[Group, ...], limits: Limits) -> tuple[Cost, ...]:
    """One per group."""
    return tuple(cost_of(g, limits) for g in groups)


def lower_bound(groups: tuple[Group, ...], limits: Limits) -> tuple[int, str]:
    """Fewest cores that any mapping needs, and the resource that says so."""
    total = np.zeros(len(RESOURCES), np.int64)
    for group, cost in zip(groups, cost_of_all(groups, limits), strict=True):
        rows = math.prod(group.shape[:2])
        total += rows * cost.row + group.shape[0] * cost.channel + cost.core
    needs = {
        name: math.ceil(int(amount) / limits.capacity[name])
        for name, amount in zip(RESOURCES, total, strict=True)
    }
    name = max(needs, key=lambda n: needs[n])
    return max(1, needs[name]), name
