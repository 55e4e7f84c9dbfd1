"""Messages between cores: an event goes once to every core that holds a neuron it reaches.

A piece of a convolution needs, from all channels of its group(s), the source rows

    y' = y * stride - padding + k * dilation        for its rows y and taps k,

a piece behind a one-to-one synapse its own rows, one behind a dense synapse all. Two
synapses from one source (a block's convolution and its shortcut) count twice: they
wait differently. Columns are not looked at: W positions of a row always travel together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lava_mlsnn.loihi2.fit.activity import EventRates, row_events
from lava_mlsnn.loihi2.fit.demand import HOST, Group, Link
from lava_mlsnn.loihi2.fit.mapping import Mapping
from lava_mlsnn.loihi2.fit.packing import Piece
from netx_export.spec import NetworkSpec

__all__ = ["Traffic", "traffic_of"]


@dataclass(frozen=True)
class Traffic:
    """Messages per timestep.

    Attributes
    ----------
    sent : ndarray of float, (groups + 1,)
        By source group, once per receiving core; the last entry is the input's.
    arriving, leaving : ndarray of float, (cores,)
        At every core.
    """

    sent: np.ndarray
    arriving: np.ndarray
    leaving: np.ndarray

    @property
    def total(self) -> float:
        """All messages of a timestep."""
        return float(self.sent.sum())


def needed(piece: Piece, group: Group, link: Link, source: tuple[int, int]) -> np.ndarray:
    """Rows (C, H) of a source that a piece must hear, as booleans."""
    channels, height = source
    geometry = link.geometry
    if geometry.storage == "matrix":  # it reads its source flattened
        return np.ones(source, bool)
    mask = np.zeros(source, bool)
    per_out, per_in = group.shape[0] // geometry.groups, channels // geometry.groups
    read = geometry.reads(0, height, group.shape[1])
    for outputs, lines in piece.boxes(group.shape[1]):
        rows = np.unique(read[:, list(lines)])
        first, last = outputs.start // per_out, (outputs.stop - 1) // per_out + 1
        mask[first * per_in : last * per_in, rows[rows >= 0]] = True
    return mask


def traffic_of(
    mapping: Mapping, groups: tuple[Group, ...], spec: NetworkSpec, activity: EventRates
) -> Traffic:
    """Messages per timestep of a mapped network.

    Parameters
    ----------
    mapping, groups
        Where everything is.
    spec, activity
        How often it sends.
    """
    events = [row_events(g, spec, activity) for g in (*groups, None)]
    place = [np.zeros(e.size, np.int64) for e in events]  # core of every row
    for p in mapping.pieces:
        place[p.group][p.start : p.stop] = p.core
    sent = np.zeros(len(groups) + 1)
    arriving, leaving = np.zeros(mapping.cores), np.zeros(mapping.cores)
    for p in mapping.pieces:
        for link in groups[p.group].links:
            source = link.source if link.source != HOST else len(groups)
            channels, height = events[source].shape
            heard = events[source] * needed(p, groups[p.group], link, (channels, height))
            sent[source] += heard.sum()
            arriving[p.core] += heard.sum()
            if link.source != HOST:
                np.add.at(leaving, place[source], heard.reshape(-1))
    return Traffic(sent, arriving, leaving)
