"""The pages beside the table: where the time goes, and how far the limit is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.rows import AT_LEAST, MEASURED, Row
from benchmarks.words import amount, head, table

__all__ = ["profile_markdown", "roofline_markdown"]


def profile_markdown(tables: dict[str, Any], context: dict[str, Any]) -> str:
    """The page that says where the time goes."""
    parts = ["# Where the time goes", head(context)]
    for name, found in tables.items():
        parts.append(f"## {name}")
        if "failed" in found:
            parts.append(f"Not measured: {found['failed']}.")
            continue
        parts.append(f"{amount(found['seconds'][0], 's')} without the profiler.")
        if found.get("layers"):
            whole = sum(found["layers"].values())
            cells = [
                [layer, amount(value, "s"), f"{value / whole:.1%}"]
                for layer, value in found["layers"].items()
            ]
            parts.append(table(("layer", "time", "share"), cells))
        if found.get("functions"):
            parts.append(f"```\n{found['functions']}\n```")
    return "\n\n".join(parts) + "\n"


def roofline_markdown(rows: Sequence[Row], context: dict[str, Any]) -> str:
    """The page that says how far the limit is."""
    found = context["extras"]["roofline"]
    names = {name: f"{name}, G a second" for name in ("int8", "bfloat16", "float32")}
    names |= {"memory": "memory, GB a second", "weights": "the runner's weights, GB a second"}
    cells = [
        [words, *(f"{at[name] / 1e9:,.0f}" if at[name] else "-" for at in found["peaks"].values())]
        for name, words in names.items()
    ]
    header = [f"{n} thread{'s' * (n != '1')}" for n in found["peaks"]]
    parts = ["# How far the limit is", head(context), table(("peak", *header), cells)]
    known = {row.name: row for row in rows if row.status == MEASURED and row.ours_s}
    lines = [
        _limit_line(known[name], limit)
        for name, limit in found["limits"].items()
        if name in known and limit["arithmetic"] is not None
    ]
    titles = ("row", "multiplications", "bytes", "arithmetic", "reading", "limit")
    parts.append(table((*titles, "ours", "theirs", "the reach"), lines))
    parts.append(
        "`arithmetic` is the time of the row's multiplications at the peak of their number type, "
        "`reading` that of its bytes at the peak of reading; the limit is the longer one. Behind "
        "each time stands what share of it the limit is; a reach of more than 100% asks for less "
        "than the limit. What is counted: docs/speed.md."
    )
    return "\n\n".join(parts) + "\n"


def _limit_line(row: Row, limit: dict[str, Any]) -> list[str]:
    least = max(limit["arithmetic"], limit["reading"])

    def cell(seconds: float | None) -> str:
        return "-" if seconds is None else f"{amount(seconds, 's')}, {least / seconds:.0%}"

    wanted = None
    if row.goal is not None and row.theirs_s is not None:
        factor = 1 / row.goal if row.direction == AT_LEAST else row.goal
        wanted = row.theirs_s * factor
    return [
        row.name,
        f"{limit['products'] / 1e6:,.0f} M",
        f"{limit['bytes'] / 1e6:,.1f} MB",
        *(amount(limit[key], "s") for key in ("arithmetic", "reading")),
        amount(least, "s"),
        *(cell(seconds) for seconds in (row.ours_s, row.theirs_s, wanted)),
    ]
