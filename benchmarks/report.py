"""The committed files: ``runs.json``, ``latest.json``, ``latest.md``, ``context.json``..."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.history import KEPT, load_runs, run_of, together, value_of
from benchmarks.plots import scaling_plot, sparsity_plot
from benchmarks.rows import AT_LEAST, MEASURED, Row
from netx_export.file.atomic import write_atomic

__all__ = ["load_latest", "markdown", "profile_markdown", "write_report"]

RESULTS = Path(__file__).resolve().parent / "results"
BUSY = 0.2  # cores of others from which on the numbers are doubted


def load_latest(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of the last report; none if there is no report."""
    file = folder / "latest.json"
    return json.loads(file.read_text()) if file.exists() else []


def write_report(folder: Path, rows: Sequence[Row], context: dict[str, Any]) -> None:
    """Add a run to those of the folder and write every file, each whole or not at all.

    What this run did not measure stays as it was. Quick runs stand alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs = [] if context["quick"] else load_runs(folder)
    runs.append(run_of(rows, context))
    rows = together(runs)
    file, measured = folder / "context.json", context["extras"]
    before = json.loads(file.read_text()) if file.exists() and not context["quick"] else {}
    context = {
        **context,
        **{key: {**before.get(key, {}), **context[key]} for key in ("versions", "extras")},
    }

    def put(name: str, text: str) -> None:
        write_atomic(folder / name, text.encode())

    if measured.get("scaling"):
        write_atomic(folder / "scaling.png", scaling_plot(measured["scaling"]))
    if measured.get("sparsity"):
        write_atomic(folder / "sparsity.png", sparsity_plot(measured["sparsity"]))
    if measured.get("profile"):
        put("profile.md", profile_markdown(measured["profile"], context))
    if not context["quick"]:
        put("runs.json", json.dumps(runs, indent=1) + "\n")
    put("context.json", json.dumps(context, indent=1) + "\n")
    put("latest.md", markdown(rows, context, runs))
    put("latest.json", json.dumps([row.to_dict() for row in rows], indent=1) + "\n")


# -- numbers in words -----------------------------------------------------------------
def amount(value: float | None, unit: str) -> str:
    """A time or a size with three digits."""
    if value is None:
        return "-"
    if unit == "B":
        return f"{value / 2**20:,.0f} MiB"
    for factor, name in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1 or name == "µs":
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


# -- the pages ------------------------------------------------------------------------
def markdown(
    rows: Sequence[Row], context: dict[str, Any], runs: Sequence[dict[str, Any]] = ()
) -> str:
    """The page with the table."""
    parts = ["# Speed and memory", _head(context)]
    lines = [
        [
            row.work,
            f"{row.against}{f' [{row.theirs_side}]' if row.theirs_side else ''}",
            goal(row),
            reached(row),
            f"{in_words(row, row.median)} of {row.runs}" if row.median is not None else "-",
            in_words(row, value_of(row)),
            spread(row),
            with_spread(row.ours_s, row.ours_quartiles, row),
            with_spread(row.theirs_s, row.theirs_quartiles, row),
            row.per,
        ]
        for row in rows
    ]
    header = (
        *("work", "against", "reach", "worst run", "median run", "newest run", "quartiles"),
        *("ours", "theirs", "per"),
    )
    parts.append(table(header, lines))
    parts.append(
        "A bar is reached if the worst run reaches it. The last columns are the newest run's: "
        "medians with quartiles over all rounds; of the other side the fastest variant counts. "
        "How it is measured, and what limits: docs/speed.md. Where the time goes: profile.md."
    )
    parts += _runs(runs)
    silent = [row for row in rows if row.status != MEASURED]
    if silent:
        parts.append("## Without a ratio")
        parts.append("\n".join(f"- {row.name}: {row.status}: {row.reason}" for row in silent))
    others = [
        [row.name, name, amount(value, row.unit)]
        for row in rows
        for name, value in row.others.items()
    ]
    if others:
        parts.append("## Variants that are not in the table")
        parts.append(table(("row", "variant", "median"), others))
    left_out = [row for row in rows if row.status == MEASURED and row.reason]
    if left_out:
        parts.append("\n".join(f"- {row.name}: {row.reason}" for row in left_out))
    parts += _extras(rows, context["extras"])
    parts.append("## Versions")
    versions = [
        [name, ", ".join(f"{k} {v}" for k, v in sorted(found.items()))]
        for name, found in context["versions"].items()
    ]
    parts.append(table(("environment", "versions"), versions))
    return "\n\n".join(parts) + "\n"


def _head(context: dict[str, Any]) -> str:
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


def _runs(runs: Sequence[dict[str, Any]]) -> list[str]:
    if not runs:
        return []
    lines = [
        [
            run["date"],
            f"{run['machine']['cpu']}, {run['cores']} of {run['machine']['cores']} cores",
            run["commit"],
            f"{run['busy']:g}",
            f"`{run['command']}`",
            str(len(run["rows"])),
        ]
        for run in runs
    ]
    header = ("date", "machine", "commit", "cores that others kept busy", "command", "rows")
    return [f"## Runs (of each row the last {KEPT} count)", table(header, lines)]


def _extras(rows: Sequence[Row], extras: dict[str, Any]) -> list[str]:
    parts = []
    for row in rows:
        if row.parts:
            parts.append(f"## Parts of {row.name}")
            cells = [[name, amount(value, row.unit)] for name, value in row.parts.items()]
            parts.append(table(("part", "median"), cells))
    stock = extras.get("stock_conv_in_lava")
    if stock:
        parts.append("## Stock Lava: its model, not its processes")
        parts.append(
            f"The convolution of {stock['layer']} takes {amount(stock['alone'], 's')} in stock "
            f"Lava's ProcessModel alone, which is what the table counts, and "
            f"{amount(stock['seconds_a_step'], 's')} a timestep in a real stock run "
            f"({'the same' if stock['equal'] else '**other**'} integers)."
        )
    if extras.get("scaling"):
        parts.append("## Cost as things grow")
        parts.append("![Time over depth, width, T and samples, log-log](scaling.png)")
    if extras.get("sparsity"):
        parts.append("## Dense against event by event and by groups")
        parts.append("![Time over the density of payloads, log-log](sparsity.png)")
    for network, layers in extras.get("activity", {}).items():
        parts.append(f"## Layers of {network}, on photographs")
        cells = [
            [
                row["layer"],
                *_density(row),
                amount(row["dense"], "s"),
                amount(row["groups"], "s"),
            ]
            for row in layers
        ]
        header = ("layer", "its convolution reads", "payloads not 0", "groups of 4 not 0")
        parts.append(table((*header, "dense", "by groups"), cells))
    return parts


def _density(row: dict[str, Any]) -> tuple[str, str, str]:
    if row["groups"] is None:
        return "-", "-", "-"
    shape = f"{row['channels']} x {row['size']} x {row['size']}"
    return shape, f"{row['density']:.2f}", f"{row['group_density']:.2f}"


def profile_markdown(tables: dict[str, Any], context: dict[str, Any]) -> str:
    """The page that says where the time goes."""
    parts = ["# Where the time goes", _head(context)]
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
