"""The rows of the table: a bar, what was measured against it, and whether it is met."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.measure import Result, quartiles

__all__ = ["Bar", "Row", "compare", "not_measured", "reached", "single"]

AT_LEAST, AT_MOST = "at_least", "at_most"
MEASURED, DIFFERENT, NOT_MEASURED = "measured", "outputs differ", "not measured"
Check = Callable[[Result, Result], str]


@dataclass(frozen=True)
class Bar:
    """What is to be reached.

    Attributes
    ----------
    name : str
        Unique key of the row.
    work, against : str
        The two sides, in words.
    goal : float or None
        The bar; None for a row that is there for information.
    direction : {"at_least", "at_most"}
        How many times faster we are (theirs / ours), or what share of theirs we
        take (ours / theirs).
    per : str
        What one time stands for.
    unit : str
        ``s``, or ``B`` for bytes.
    """

    name: str
    work: str
    against: str
    goal: float | None
    direction: str = AT_MOST
    per: str = "sample"
    unit: str = "s"


@dataclass
class Row:
    """One object of ``latest.json``; see docs/speed.md for its fields."""

    name: str
    work: str
    against: str
    ratio: float | None
    goal: float | None
    direction: str
    met: bool | None
    ours_s: float | None
    theirs_s: float | None
    unit: str = "s"
    per: str = "sample"
    status: str = MEASURED
    reason: str = ""
    ours_side: str = ""
    theirs_side: str = ""
    ours_quartiles: list[float] | None = None
    theirs_quartiles: list[float] | None = None
    ratio_quartiles: list[float] | None = None
    rounds: int = 0
    runs: int = 1
    worst: float | None = None
    median: float | None = None
    others: dict[str, float] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)
    date: str = ""
    command: str = ""
    quick: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-able."""
        return asdict(self)


def today() -> str:
    """Date and minute, with the zone."""
    return datetime.datetime.now().astimezone().isoformat(timespec="minutes")


def _base(bar: Bar) -> dict[str, Any]:
    return {
        "name": bar.name,
        "work": bar.work,
        "against": bar.against,
        "goal": bar.goal,
        "direction": bar.direction,
        "per": bar.per,
        "unit": bar.unit,
        "date": today(),
    }


def not_measured(bar: Bar, reason: str, status: str = NOT_MEASURED) -> Row:
    """A row without a ratio, and why."""
    met = False if status == DIFFERENT and bar.goal is not None else None
    return Row(
        **_base(bar),
        ratio=None,
        met=met,
        ours_s=None,
        theirs_s=None,
        status=status,
        reason=reason,
    )


def reached(bar: Bar, value: float) -> bool | None:
    """Whether the bar is met; None if there is none."""
    if bar.goal is None:
        return None
    return value >= bar.goal if bar.direction == AT_LEAST else value <= bar.goal


def compare(bar: Bar, ours: Result, theirs: Sequence[Result], check: Check) -> Row:
    """Our median against the fastest variant of the other side that did the same work.

    Parameters
    ----------
    bar : Bar
        What is to be reached.
    ours : Result
        Our side.
    theirs : sequence of Result
        Variants of the other side, such as its memory layouts.
    check : callable
        What differs between ours and a variant, or an empty string; a variant that
        differs gives no ratio.
    """
    if ours.failed:
        return not_measured(bar, f"{ours.side.name}: {ours.failed}")
    failed = [f"{t.side.name}: {t.failed}" for t in theirs if t.failed]
    there = [t for t in theirs if not t.failed]
    if not there:
        return not_measured(bar, "; ".join(failed) or "there is no other side")
    problems = {t.side.name: check(ours, t) for t in there}
    same = [t for t in there if not problems[t.side.name]]
    if not same:
        words = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        return not_measured(bar, words, DIFFERENT)
    best = min(same, key=lambda t: t.median)
    pair = (best, ours) if bar.direction == AT_LEAST else (ours, best)
    ratio = pair[0].median / pair[1].median
    turns = [a / b for a, b in zip(pair[0].of_rounds(), pair[1].of_rounds(), strict=False)]
    return Row(
        **_base(bar),
        ratio=ratio,
        met=reached(bar, ratio),
        ours_s=ours.median,
        theirs_s=best.median,
        ours_side=ours.side.name,
        theirs_side=best.side.name,
        ours_quartiles=quartiles(ours.seconds),
        theirs_quartiles=quartiles(best.seconds),
        ratio_quartiles=quartiles(turns),
        rounds=len(turns),
        others={t.side.name: t.median for t in there if t is not best},
        reason="; ".join(
            [*failed, *(f"left out, {name}: {text}" for name, text in problems.items() if text)]
        ),
    )


def single(bar: Bar, ours: Result, value: float | None = None) -> Row:
    """A row with one side: its bar is for the value itself (seconds, or a slope)."""
    if ours.failed:
        return not_measured(bar, f"{ours.side.name}: {ours.failed}")
    return Row(
        **_base(bar),
        ratio=value,
        met=reached(bar, ours.median if value is None else value),
        ours_s=ours.median,
        theirs_s=None,
        ours_side=ours.side.name,
        ours_quartiles=quartiles(ours.seconds),
        rounds=len(ours.rounds),
    )
