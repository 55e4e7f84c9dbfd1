"""How busy a network keeps its cores: events, from samples or assumed, and what they cause.

A neuron's event (a non-zero payload) causes a synaptic operation for every connection
that leaves it. Per row of a layer's output, with e(i, y, x) events per timestep,

    operations(c, oy) = sum over inputs i of c's group, taps ky, and positions x of
                        e(i, oy * stride - padding + ky * dilation, x) * n(x)

where n(x) counts the output columns that position x of the source reaches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lava_mlsnn.loihi2.fit.demand import HOST, Group
from netx_export.spec import Flatten, NetworkSpec, Population
from netx_export.spec.geometry import Geometry, rows_of

__all__ = ["ASSUMED_DENSITY", "EventRates", "assumed_activity", "operations", "row_events"]

ASSUMED_DENSITY = 0.25  # events per spiking neuron and timestep; trained digits have 0.27


@dataclass(frozen=True)
class EventRates:
    """Events per neuron and timestep.

    Attributes
    ----------
    events : dict of int to ndarray, (C, H, W)
        Mean over samples and timesteps, by file index; input and populations.
    samples : int
        How many it was measured with; 0 if it is assumed.
    """

    events: dict[int, np.ndarray]
    samples: int = 0

    @property
    def measured(self) -> bool:
        """Whether it comes from samples."""
        return self.samples > 0

    def of(self, group: Group) -> np.ndarray:
        """What the neurons of a group send."""
        return self.events[group.sends]


def assumed_activity(spec: NetworkSpec, density: float = ASSUMED_DENSITY) -> EventRates:
    """Spiking neurons send ``density`` of the time; the input and sums always do."""
    events = {}
    for index, layer in enumerate(spec.layers):
        if isinstance(layer, Flatten):
            continue
        spikes = isinstance(layer, Population) and layer.neuron.fires
        events[index] = np.full(rows_of(layer.shape), density if spikes else 1.0)
    return EventRates(events)


def row_events(group: Group | None, spec: NetworkSpec, activity: EventRates) -> np.ndarray:
    """Events per timestep of every row (C, H) of a group; of the input for None."""
    events: np.ndarray = (activity.events[0] if group is None else activity.of(group)).sum(2)
    return events


def _operations(geometry: Geometry, events: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    if geometry.storage == "matrix":  # it reads its source flattened
        events = events.reshape(-1, 1, 1)
    _, height, width = events.shape
    columns = geometry.reached(1, width, shape[2]).sum(0)
    per_group = (events @ columns).reshape(geometry.groups, -1, height).sum(1)
    rows = np.zeros((geometry.groups, shape[1]))
    for places in geometry.reads(0, height, shape[1]):
        inside = places >= 0
        rows[:, inside] += per_group[:, places[inside]]
    return rows.repeat(shape[0] // geometry.groups, axis=0)


def operations(
    groups: tuple[Group, ...], spec: NetworkSpec, activity: EventRates
) -> list[np.ndarray]:
    """Synaptic operations per timestep of every row (C, H) of every group."""
    found = []
    for group in groups:
        total = np.zeros(group.shape[:2])
        for link in group.links:
            sender = activity.events[0] if link.source == HOST else activity.of(groups[link.source])
            total += _operations(link.geometry, sender, group.shape)
        found.append(total)
    return found
