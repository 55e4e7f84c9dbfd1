"""What would make a network that is too large fit: tried, not guessed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lava_mlsnn.errors import RangeError
from lava_mlsnn.loihi2.fit.demand import HOST, Group, demand_of
from lava_mlsnn.loihi2.fit.limits import SYSTEMS, Limits
from lava_mlsnn.loihi2.fit.packing import Packer
from netx_export.spec import NetworkSpec

__all__ = ["fewest_cores", "narrower", "ways_to_fit"]

PARTS = 16  # channels are taken off in sixteenths


def fewest_cores(groups: tuple[Group, ...], limits: Limits) -> int:
    """Cores that the packing needs, whatever the load."""
    loads = [np.zeros(math.prod(g.shape[:2])) for g in groups]
    pieces = Packer(groups, loads, limits).pack(math.inf, sum(len(x) for x in loads))
    assert pieces is not None
    return pieces[-1].core + 1


def narrower(groups: tuple[Group, ...], share: float) -> tuple[Group, ...]:
    """The same network with a share of the channels in every layer but the last."""

    def less(count: int) -> int:
        return max(1, round(count * share))

    last = len(groups) - 1
    found = []
    for g, group in enumerate(groups):
        links = tuple(
            link
            if link.source == HOST or link.geometry.storage == "diagonal"
            else replace(link, geometry=replace(link.geometry, inner=less(link.geometry.inner)))
            for link in group.links
        )
        channels = group.shape[0] if g == last else less(group.shape[0])
        found.append(replace(group, shape=(channels, *group.shape[1:]), links=links))
    return tuple(found)


def _fits(groups: tuple[Group, ...], limits: Limits) -> int | None:
    """Cores needed, None if over what the system has or a row does not fit."""
    try:
        cores = fewest_cores(groups, limits)
    except RangeError:
        return None
    return cores if cores <= limits.cores else None


def _cores(count: int) -> str:
    return f"{count} core{'s' if count > 1 else ''}"


def ways_to_fit(spec: NetworkSpec, groups: tuple[Group, ...], limits: Limits) -> list[str]:
    """Sentences, each with the number of cores that it leads to."""
    ways = []
    for part in range(PARTS - 1, 0, -1):
        cores = _fits(narrower(groups, part / PARTS), limits)
        if cores is not None:
            ways.append(f"{part}/{PARTS} of the channels in every layer need {_cores(cores)}")
            break
    if spec.timesteps > 1:
        single = replace(spec, timesteps=1)
        cores = _fits(demand_of(single), limits)
        if cores is not None:
            ways.append(
                f"T = 1 with N = {spec.timesteps} times as large needs {_cores(cores)} (no "
                "state is kept)"
            )
    larger = [s for s in SYSTEMS.values() if s.chips > limits.chips]
    for system in sorted(larger, key=lambda s: s.chips):
        if _fits(groups, replace(limits, chips=system.chips)) is not None:
            ways.append(f"it fits {system.name} ({system.chips} chips)")
            break
    return ways or ["make it much smaller: no share of its channels and no known system fits"]
