"""The committed files: ``runs.json``, ``latest.json``, ``latest.md``, ``context.json``..."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.history import KEPT, load_runs, run_of, together, value_of
from benchmarks.pages import profile_markdown, roofline_markdown
from benchmarks.plots import scaling_plot, sparsity_plot
from benchmarks.rows import MEASURED, Row
from benchmarks.words import amount, goal, head, in_words, reached, spread, table, with_spread
from netx_export.file.atomic import write_atomic

__all__ = ["load_latest", "markdown", "write_report"]

RESULTS = Path(__file__).resolve().parent / "results"


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
    if measured.get("roofline"):
        put("roofline.md", roofline_markdown(rows, context))
    if not context["quick"]:
        put("runs.json", json.dumps(runs, indent=1) + "\n")
    put("context.json", json.dumps(context, indent=1) + "\n")
    put("latest.md", markdown(rows, context, runs))
    put("latest.json", json.dumps([row.to_dict() for row in rows], indent=1) + "\n")


# -- the pages ------------------------------------------------------------------------
def markdown(
    rows: Sequence[Row], context: dict[str, Any], runs: Sequence[dict[str, Any]] = ()
) -> str:
    """The page with the table."""
    parts = ["# Speed and memory", head(context)]
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
        "How it is measured, and what limits: docs/speed.md. Where the time goes: profile.md; "
        "how far the limit is: roofline.md."
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
    if extras.get("throughput"):
        found = extras["throughput"]
        threads = list(next(iter(found.values())))
        titles = ["batch", *(f"{n} thread{'s' * (n != '1')}" for n in threads)]
        parts.append("## Samples a second through Sparse-ResNet-18")
        cells = [
            [b, *(f"{at[n]:,.0f}" if n in at else "-" for n in threads)] for b, at in found.items()
        ]
        parts.append(table(titles, cells))
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
