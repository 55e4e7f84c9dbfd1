"""Numbers, bars and rows in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.history import value_of
from benchmarks.rows import AT_LEAST, MEASURED, Row

__all__ = [
    "amount",
    "goal",
    "head",
    "in_words",
    "reached",
    "spread",
    "table",
    "times",
    "with_spread",
]

BUSY = 0.2  # cores of others from which on the numbers are doubted


def amount(value: float | None, unit: str) -> str:
    """A time or a size with three digits."""
    if value is None:
        return "-"
    if unit == "B":
        return f"{value / 2**20:,.0f} MiB"
    for factor, name in ((1.0, unit), (1e3, f"m{unit}"), (1e6, f"µ{unit}")):
        if value * factor >= 1 or factor == 1e6:
            return f"{value * factor:,.3g} {name}"
    return ""


def times(value: float) -> str:
    """A ratio with three digits."""
    return f"{value:,.0f}x" if value >= 100 else f"{value:.3g}x"


def goal(row: Row) -> str:
    """The bar in words."""
    if row.goal is None:
        return "information"
    words = "at least" if row.direction == AT_LEAST else "at most"
    if row.name.startswith("scaling"):
        return f"{words} {row.goal:g}"
    # without another side the bar is for the time itself
    single = row.theirs_s is None and row.against == "-"
    return f"{words} {row.goal:g} s" if single else f"{words} {row.goal:g}x"


def reached(row: Row) -> str:
    """The worst run and whether it is enough, or why there is none."""
    if row.status != MEASURED:
        return row.status
    mark = {True: "yes, ", False: "**no**, ", None: ""}[row.met]
    return mark + in_words(row, value_of(row) if row.worst is None else row.worst)


def in_words(row: Row, value: float | None) -> str:
    """A ratio, or the value itself where there is no other side."""
    if row.name.startswith(("scaling", "crossover")) and value is not None:
        return f"{value:.3g}" if row.name.startswith("crossover") else f"{value:.2f}"
    return amount(value, row.unit) if row.ratio is None or value is None else times(value)


def spread(row: Row) -> str:
    """Quartiles of the ratio over the rounds."""
    if row.ratio_quartiles is None:
        return "-"
    low, high = row.ratio_quartiles
    return f"{times(low)} .. {times(high)}"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in r) + " |" for r in rows)


def with_spread(value: float | None, quartiles: list[float] | None, row: Row) -> str:
    """A median with its quartiles."""
    text = amount(value, row.unit)
    if quartiles is None:
        return text
    return f"{text} ({amount(quartiles[0], row.unit)} .. {amount(quartiles[1], row.unit)})"


def head(context: dict[str, Any]) -> str:
    """Machine, commit, date and command, and what speaks against the numbers."""
    m = context["machine"]
    lines = [
        f"- Machine: {m['cpu']} ({', '.join(m['instructions'])}), {m['cores']} cores of which "
        f"{context['cores']} are used, {m['memory_gib']} GiB, {m['system']}",
        f"- Commit: {context['commit']}",
        f"- Date: {context['date']}",
        f"- Command: `{context['command']}`",
    ]
    if context["quick"]:
        lines.append("- **A quick run**: small sizes, few rounds; not to be quoted.")
    if context["busy"] > BUSY:
        lines.append(
            f"- **Other processes kept up to {context['busy']:g} cores busy** while this was "
            "measured: repeat it on a quiet machine before quoting it."
        )
    if context["code_changed"]:
        lines.append("- **The code changed while this was measured**: repeat it.")
    return "\n".join(lines)
