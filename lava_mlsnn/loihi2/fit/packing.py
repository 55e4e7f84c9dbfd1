"""Fills cores with rows of layers, one core after the other, from two ends.

Rows of early layers ask for neurons and time, rows of late ones for memory: a core that
holds both wastes neither. Groups are sorted by (neurons or load) over memory; every
core takes x rows from the busy end and y rows from the heavy end of that order, where
(x, y) is the corner of

    x * a + y * b <= free        per resource (shares of a core; the load is one of them)

that fills most, resources weighted by how scarce they are. Pieces of a group are
consecutive rows. A channel is cut only where the rows gained weigh more than storing its
kernels twice. Ours, a heuristic: :func:`lava_mlsnn.loihi2.fit.cost.lower_bound` says how
far it may be from the best.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from lava_mlsnn.errors import RangeError
from lava_mlsnn.loihi2.fit.cost import RESOURCES, cost_of_all
from lava_mlsnn.loihi2.fit.demand import Group
from lava_mlsnn.loihi2.fit.limits import Limits

__all__ = ["Packer", "Piece"]

MEMORY, NEURONS = RESOURCES.index("memory"), RESOURCES.index("neurons")


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of one group on one core: ``start <= channel * H + y < stop``."""

    core: int
    group: int
    start: int
    stop: int

    def boxes(self, height: int) -> list[tuple[range, range]]:
        """The rows as at most three boxes of channels and lines."""
        found, at = [], self.start
        while at < self.stop:
            channel, line = divmod(at, height)
            whole = (self.stop - at) // height if line == 0 else 0
            lines = range(line, height if whole else min(height, line + self.stop - at))
            found.append((range(channel, channel + max(1, whole)), lines))
            at += max(1, whole) * len(lines)
        return found


class Packer:
    """What fits where.

    Parameters
    ----------
    groups : tuple of Group
        What to place.
    loads : sequence of ndarray, (C * H,)
        Load of every row of every group.
    limits : Limits
        Of the cores.

    Raises
    ------
    RangeError
        If a single row does not fit a core.
    """

    def __init__(self, groups: tuple[Group, ...], loads: list[np.ndarray], limits: Limits) -> None:
        self.groups, self.costs = groups, cost_of_all(groups, limits)
        self.capacity = np.array([limits.capacity[name] for name in RESOURCES], np.int64)
        self.rows = [math.prod(g.shape[:2]) for g in groups]
        self.sums = [np.concatenate([[0.0], np.cumsum(x)]) for x in loads]
        for group, cost in zip(groups, self.costs, strict=True):
            least = cost.row + cost.channel + cost.core
            over = np.flatnonzero(least > self.capacity)
            if over.size:
                name = RESOURCES[int(over[0])]
                raise RangeError(
                    f"one row of {group.shape[2]} neurons must fit a core, but needs "
                    f"{int(least[over[0]])} {'bits of memory' if name == 'memory' else name} of "
                    f"{int(self.capacity[over[0]])}; use fewer inputs a neuron (fewer channels, "
                    "groups, or pooling before a dense layer), or other --limit values",
                    f"layer {group.name}",
                )
        # per row, with its share of what is paid once per channel
        self.mean = np.array(
            [c.row + c.channel / g.shape[1] for g, c in zip(groups, self.costs, strict=True)]
        )
        self.total = np.array(self.rows) @ self.mean

    def fit(self, g: int, start: int, stop: int, free: np.ndarray) -> int:
        """How many rows from ``start`` on fit ``free``."""
        cost, height = self.costs[g], self.groups[g].shape[1]
        free = free - cost.core
        if (free < 0).any():
            return 0
        count = stop - start
        for row, channel, rest in zip(cost.row, cost.channel, free, strict=True):
            if row or channel:
                rows = _rows(int(rest), int(row), int(channel), start % height, height)
                count = min(count, rows)
        return count

    def amounts(self, g: int, start: int, stop: int) -> np.ndarray:
        """What rows of a group cost a core that holds none of its others."""
        cost, height = self.costs[g], self.groups[g].shape[1]
        channels = (stop - 1) // height - start // height + 1
        amount: np.ndarray = (stop - start) * cost.row + channels * cost.channel + cost.core
        return amount

    def load(self, g: int, start: int, stop: int) -> float:
        """Load of rows of a group."""
        return float(self.sums[g][stop] - self.sums[g][start])

    def pack(self, most: float, allowed: int) -> list[Piece] | None:
        """Place everything with no core's load over ``most``; None if it takes too many."""
        return _Filling(self, most, allowed).run()


def _rows(free: int, row: int, channel: int, first: int, height: int) -> int:
    """Most rows n with n * row + channels(n) * channel <= free, from row ``first`` on."""
    if free < row + channel:
        return 0
    head = height - first  # rows left in the first channel
    rest = free - channel
    if not row:
        return head + height * (rest // channel)
    if rest // row <= head:
        return rest // row
    rest -= head * row
    whole = rest // (height * row + channel)
    rest -= whole * (height * row + channel)
    return head + whole * height + max(0, (rest - channel) // row)


class _Filling:
    """One attempt under a load limit."""

    def __init__(self, packer: Packer, most: float, allowed: int) -> None:
        self.p, self.most, self.allowed = packer, most, allowed
        loads = np.array([s[-1] for s in packer.sums]) / np.array(packer.rows)
        per_load = 0.0 if math.isinf(most) else 1 / most
        shares = packer.mean / packer.capacity
        self.shares = np.column_stack([shares, loads * per_load])  # per row, of a core
        busy = np.maximum(self.shares[:, NEURONS], self.shares[:, -1])
        key = busy / (self.shares[:, MEMORY] + 1e-30)
        self.left = sorted(range(len(packer.rows)), key=lambda g: key[g])  # heavy ... busy
        scarce = np.array(packer.rows) @ self.shares
        self.scarce = scarce / scarce.max()
        self.at = [0] * len(packer.rows)
        self.pieces: list[Piece] = []
        self._open(0)

    def _open(self, core: int) -> None:
        self.core, self.held = core, 0.0
        self.on_core: set[int] = set()
        self.free = self.p.capacity.copy()

    def run(self) -> list[Piece] | None:
        while self.left:
            while self.left and self._fill():
                pass
            if not self.left:
                break
            if not self.on_core or self.core + 1 >= self.allowed:
                return None  # a row alone is over the load limit, or no core is left
            self._open(self.core + 1)
        return self.pieces

    def _fill(self) -> bool:
        """Place from both ends; whether more may fit, now that a group is finished."""
        busy, heavy = self.left[-1], self.left[0]
        before = len(self.left)
        if busy == heavy:
            self._place(busy, self.p.rows[busy])
        else:
            x, y = self._corner(self.shares[busy], self.shares[heavy])
            self._place(busy, x)
            self._place(heavy, y)
            if len(self.left) == before:  # what rounding has left over
                self._place(heavy, self.p.rows[heavy])
                self._place(busy, self.p.rows[busy])
        return len(self.left) < before

    def _corner(self, a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
        """(x, y) >= 0 with x * a + y * b <= free that fills most."""
        room = 1.0 if math.isinf(self.most) else 1 - self.held / self.most
        free = np.append(self.free / self.p.capacity, room)
        rows = [(a[r], b[r], free[r]) for r in range(len(free)) if a[r] > 0 or b[r] > 0]
        corners = [(0.0, min(f / bb for _, bb, f in rows if bb > 0))]
        corners.append((min(f / aa for aa, _, f in rows if aa > 0), 0.0))
        for (a1, b1, f1), (a2, b2, f2) in itertools.combinations(rows, 2):
            det = a1 * b2 - a2 * b1
            if abs(det) > 1e-15:
                corners.append(((f1 * b2 - f2 * b1) / det, (a1 * f2 - a2 * f1) / det))
        worth = (float(a @ self.scarce), float(b @ self.scarce))
        best = max(
            (
                (x * worth[0] + y * worth[1], x, y)
                for x, y in corners
                if x >= 0 and y >= 0 and all(x * aa + y * bb <= f + 1e-9 for aa, bb, f in rows)
            ),
            default=(0.0, 0.0, 0.0),
        )
        return math.floor(best[1]), math.floor(best[2])

    def _place(self, g: int, most: int) -> None:
        """Up to ``most`` rows of a group onto this core."""
        p, start = self.p, self.at[g]
        stop = min(p.rows[g], start + most)
        if stop <= start or g in self.on_core:
            return
        count = p.fit(g, start, stop, self.free)
        reach = p.sums[g][start] + self.most - self.held
        count = min(count, int(np.searchsorted(p.sums[g], reach, side="right")) - 1 - start)
        count = self._whole(g, start, count)
        if count <= 0:
            return
        stop = start + count
        self.pieces.append(Piece(self.core, g, start, stop))
        self.free -= p.amounts(g, start, stop)
        self.held += p.load(g, start, stop)
        self.on_core.add(g)
        self.at[g] = stop
        if stop == p.rows[g]:
            self.left.remove(g)

    def _whole(self, g: int, start: int, count: int) -> int:
        """Without a cut channel, if its rows weigh less than its kernels."""
        height, cost = self.p.groups[g].shape[1], self.p.costs[g]
        extra = (start + count) % height
        if extra == 0 or extra >= count or start + count == self.p.rows[g]:
            return count
        weight = self.scarce[:-1] / self.p.capacity
        gained = extra * float(cost.row @ weight)
        return count - extra if gained < float(cost.channel @ weight) else count
