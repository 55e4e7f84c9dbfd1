"""Several runs of the benchmark, and what they say of a row together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import AT_LEAST, DIFFERENT, MEASURED, Bar, Row, reached

__all__ = ["KEPT", "load_runs", "run_of", "together"]

KEPT = 5  # runs of a row that count: before them the code was another
FACTS = ("date", "machine", "cores", "commit", "code_changed", "command", "busy")


def load_runs(folder: Path) -> list[dict[str, Any]]:
    """The runs so far, oldest first."""
    file = folder / "runs.json"
    return json.loads(file.read_text()) if file.exists() else []


def run_of(rows: Sequence[Row], context: dict[str, Any]) -> dict[str, Any]:
    """A run as it is kept: when and where, and its rows."""
    return {**{key: context[key] for key in FACTS}, "rows": [row.to_dict() for row in rows]}


def value_of(row: Row) -> float | None:
    """What a bar is for: the ratio, or the value itself."""
    return row.ours_s if row.ratio is None else row.ratio


def together(runs: Sequence[dict[str, Any]]) -> list[Row]:
    """A row for each that any run has: the newest that was measured, judged by the worst run.

    Outputs that differ in the newest run are not covered by an older one.
    """
    known = {f.name for f in fields(Row)}
    found: dict[str, list[Row]] = {}
    for run in runs:
        for kept in run["rows"]:
            row = Row(**{key: value for key, value in kept.items() if key in known})
            found.setdefault(row.name, []).append(row)
    return [_judged(rows) for rows in found.values()]


def _judged(rows: list[Row]) -> Row:
    measured = [row for row in rows if row.status == MEASURED][-KEPT:]
    if rows[-1].status == DIFFERENT or not measured:
        return rows[-1]
    newest = measured[-1]
    values = [value for row in measured if (value := value_of(row)) is not None]
    worst = min(values) if newest.direction == AT_LEAST else max(values)
    bar = Bar(newest.name, newest.work, newest.against, newest.goal, newest.direction)
    return replace(
        newest,
        runs=len(values),
        worst=worst,
        median=float(np.median(values)),
        met=reached(bar, worst),
    )
