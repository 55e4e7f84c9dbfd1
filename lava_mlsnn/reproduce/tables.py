"""The tables of the report, once for Markdown and HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lava_mlsnn.reproduce.judge import POINTS, mean, spread
from lava_mlsnn.reproduce.trial import Experiment, Results

__all__ = ["COLUMNS", "ROWS", "markdown"]

Row = list[str]
COLUMNS = {
    "accuracy": ["network", "seeds", "integers, %", "float, %", "difference, points"],
    "activity": [
        "network", "density", "events into synapses", "at block outputs", "in all",
        "payload into synapses", "at block outputs", "in all", "synaptic operations",
    ],
    "energy": [
        "network", "SNN: multiply", "small multiplier", "additions", "a message per level",
        "zero-skipping ANN", "dense ANN",
    ],
}  # fmt: skip


def _groups(experiment: Experiment, results: Results) -> list[tuple[str, Sequence[Any]]]:
    return [(g.label, results[g.name]) for g in experiment.groups if results.get(g.name)]


def accuracy_rows(experiment: Experiment, results: Results) -> list[Row]:
    """Accuracy of the exported integers and of float weights, mean and deviation."""
    rows = []
    for label, records in _groups(experiment, results):
        integer = POINTS * mean(records, "accuracy.integer")
        floating = POINTS * mean(records, "accuracy.float")
        deviation = POINTS * spread(records, "accuracy.integer")
        shown = f"{integer:.2f}" + (f" ± {deviation:.2f}" if len(records) > 1 else "")
        rows.append(
            [label, str(len(records)), shown, f"{floating:.2f}", f"{integer - floating:+.2f}"]
        )
    return rows


def activity_rows(experiment: Experiment, results: Results) -> list[Row]:
    """Events and payload per sample, every count of ``docs/activity.md``; mean over seeds."""
    rows = []
    for label, records in _groups(experiment, results):
        density = mean(records, "activity.events_per_neuron_and_timestep")
        counts = [
            f"{mean(records, f'activity.{where}.{what}'):,.0f}"
            for what in ("events", "payload")
            for where in ("into_synapses", "block_outputs", "all")
        ]
        operations = f"{mean(records, 'activity.operations.events'):,.0f}"
        rows.append([label, f"{density:.3f}", *counts, operations])
    return rows


def energy_rows(experiment: Experiment, results: Results) -> list[Row]:
    """Nanojoule per sample by machine; mean over seeds."""
    names = ("snn-mac", "snn-small", "snn-adds", "snn-burst", "zero-skip", "ann")
    return [
        [label, *(f"{mean(records, f'energy_nj.{name}'):,.0f}" for name in names)]
        for label, records in _groups(experiment, results)
    ]


ROWS = {"accuracy": accuracy_rows, "activity": activity_rows, "energy": energy_rows}


def markdown(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """A table; what a cell holds is text, not markup."""
    shown = [
        [re.sub(r"([|<\\`])", r"\\\1", " ".join(cell.split())) for cell in row] for row in rows
    ]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in shown]
    return "\n".join(lines)
