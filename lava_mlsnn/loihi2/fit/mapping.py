"""Which core holds what, in two ways.

*Greedy*, what one would do by hand: every layer starts on a core of its own and fills
core after core with whole channels. *Balanced*: :mod:`lava_mlsnn.loihi2.fit.packing`
under a limit for the load of a core, and a search for the smallest limit that a given
number of cores can keep. The load of a row in nanoseconds per timestep is

    load = W * update_ns + synaptic operations * synop_ns.

Ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lava_mlsnn.loihi2.fit.cost import lower_bound
from lava_mlsnn.loihi2.fit.demand import Group
from lava_mlsnn.loihi2.fit.limits import Limits
from lava_mlsnn.loihi2.fit.packing import Packer, Piece

__all__ = ["Mapping", "balanced", "greedy", "loads_of"]

SLACK = 1.1  # cores that balancing may add to the lower bound
SEARCH = 30  # halvings of the load limit


@dataclass(frozen=True)
class Mapping:
    """Pieces of every group, by core.

    Attributes
    ----------
    method : {"greedy", "balanced"}
        How it was made.
    pieces : tuple of Piece
        Ordered by core.
    loads : ndarray of float, (cores,)
        Nanoseconds per timestep of every core, messages left out.
    """

    method: str
    pieces: tuple[Piece, ...]
    loads: np.ndarray

    @property
    def cores(self) -> int:
        """Cores in use."""
        return len(self.loads)

    @property
    def busiest(self) -> float:
        """Largest load of a core, ns per timestep."""
        return float(self.loads.max())

    @property
    def imbalance(self) -> float:
        """Busiest core over the mean: 1 is perfect."""
        return self.busiest / float(self.loads.mean())

    def cores_of(self, group: int) -> int:
        """How many cores hold a part of a group."""
        return len({p.core for p in self.pieces if p.group == group})


def loads_of(
    groups: tuple[Group, ...], operations: Sequence[np.ndarray], limits: Limits
) -> list[np.ndarray]:
    """Load of every row (C * H,) of every group, ns per timestep."""
    update, synop = limits.number("update_ns"), limits.number("synop_ns")
    return [
        group.shape[2] * update + synop * rows.reshape(-1)
        for group, rows in zip(groups, operations, strict=True)
    ]


def _mapping(method: str, pieces: list[Piece], packer: Packer) -> Mapping:
    loads = np.zeros(pieces[-1].core + 1)
    for p in pieces:
        loads[p.core] += packer.load(p.group, p.start, p.stop)
    return Mapping(method, tuple(pieces), loads)


def greedy(groups: tuple[Group, ...], loads: list[np.ndarray], limits: Limits) -> Mapping:
    """Whole channels, every layer from a fresh core on; rows where a channel is too large.

    Raises
    ------
    RangeError
        If a row does not fit a core.
    """
    packer, pieces, core = Packer(groups, loads, limits), [], 0
    for g, group in enumerate(groups):
        at, height = 0, group.shape[1]
        while at < packer.rows[g]:
            count = packer.fit(g, at, packer.rows[g], packer.capacity)
            whole = (at + count) // height * height - at
            count = whole if whole > 0 else count
            pieces.append(Piece(core, g, at, at + count))
            at, core = at + count, core + 1
    return _mapping("greedy", pieces, packer)


def balanced(
    groups: tuple[Group, ...],
    loads: list[np.ndarray],
    limits: Limits,
    cores: int | None = None,
) -> Mapping:
    """A small busiest core, with a given number of cores.

    Parameters
    ----------
    groups, loads, limits
        What to place, the load of its rows, and where.
    cores : int, optional
        How many may be used; 1.1 times the lower bound if not given. Where that is too
        few for the packing, as many as it needs.

    Raises
    ------
    RangeError
        If a row does not fit a core.
    """
    packer = Packer(groups, loads, limits)
    best = packer.pack(math.inf, sum(packer.rows))
    assert best is not None  # every row fits, so one row a core is possible
    wanted = cores or math.floor(SLACK * lower_bound(groups, limits)[0])
    allowed = max(wanted, best[-1].core + 1)
    low = max(sum(float(x.sum()) for x in loads) / allowed, max(float(x.max()) for x in loads))
    high = _mapping("", best, packer).busiest
    for _ in range(SEARCH):
        if high - low <= 1e-3 * high:
            break
        middle = 0.5 * (low + high)
        found = packer.pack(middle, allowed)
        if found is None:
            low = middle
        else:
            best, high = found, min(middle, _mapping("", found, packer).busiest)
    return _mapping("balanced", best, packer)
