"""One HTML page with everything inside it, from the template ``page.html``."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lava_mlsnn.report.page import templates
from lava_mlsnn.reproduce.tables import COLUMNS, ROWS
from lava_mlsnn.reproduce.trial import Claim, Experiment, Results

__all__ = ["page"]

Part = tuple[Experiment, Results, list[Claim], bool, dict[str, bytes]]
TITLES = {
    "accuracy": "Accuracy over the test split (mean ± deviation over seeds)",
    "activity": "Activity per sample (mean over seeds)",
    "energy": "Energy, nJ per sample (analytical model, mean over seeds)",
}


def _source(results: Results) -> str:
    records = [r for found in results.values() for r in found]
    commits = ", ".join(sorted({r["commit"] for r in records if r["commit"]})) or "unknown"
    dates = sorted({r["date"] for r in records})
    seconds = sum(r["training_seconds"] for r in records)
    return (
        f"{len(records)} trainings, {seconds / 60:.0f} minutes on one thread each; {dates[0]} to "
        f"{dates[-1]}; commits {commits} (+: with changes that were not committed yet)"
    )


def _section(part: Part) -> dict[str, Any]:
    experiment, results, claims, _, plots = part
    return {
        "experiment": experiment,
        "claims": claims,
        "images": [(name, base64.b64encode(data).decode()) for name, data in plots.items()],
        "tables": [(TITLES[n], COLUMNS[n], rows(experiment, results)) for n, rows in ROWS.items()],
        "source": _source(results),
    }


def page(parts: Sequence[Any]) -> str:
    """The page of all experiments, without anything that must be fetched; all text is escaped."""
    found = templates(Path(__file__).parent).get_template("page.html")
    return found.render(sections=[_section(p) for p in parts])
