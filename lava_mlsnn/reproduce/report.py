"""Results as files: per experiment JSON, Markdown and plots, and one HTML page of all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.reproduce.figures import draw
from lava_mlsnn.reproduce.page import page
from lava_mlsnn.reproduce.records import finished, network_of
from lava_mlsnn.reproduce.run import structure_of
from lava_mlsnn.reproduce.tables import COLUMNS, ROWS, markdown
from lava_mlsnn.reproduce.trial import Claim, Experiment, Results
from lava_mlsnn.zoo import LARGEST, add_network, write_index
from netx_export.file.atomic import make_folder, write_atomic

__all__ = ["results_of", "write_report"]

TITLES = {
    "accuracy": "Accuracy over the test split",
    "activity": "Activity, per sample",
    "energy": "Energy, nJ per sample (analytical model)",
}


def results_of(experiment: Experiment, work: Path) -> Results:
    """Records of the finished seeds of every group."""
    return {
        group.name: [r for t in group.trials() if (r := finished(t, work)) is not None]
        for group in experiment.groups
    }


def complete(experiment: Experiment, results: Results) -> bool:
    """Whether every seed of every group is there."""
    return all(len(results[g.name]) == g.seeds for g in experiment.groups)


def write_report(experiments: Sequence[Experiment], work: Path, out: Path) -> Path:
    """Write what is finished; an experiment without any record is left out.

    Parameters
    ----------
    experiments : sequence of Experiment
        In the order of the page.
    work : Path
        Where the records are.
    out : Path
        Folder for ``<experiment>.json``, ``.md`` and ``-<plot>.png``, ``report.html``,
        and ``networks/`` with the exported networks that experiments keep, up to 5 MB
        each, and their model card.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ConfigError
        If nothing is finished, or the folder cannot be written.
    FormatError
        If a record or network is damaged.
    """
    found = [(e, results) for e in experiments if any((results := results_of(e, work)).values())]
    if not found:
        raise ConfigError(
            f"no experiment has a finished trial in {work}; run 'mlsnn reproduce NAME' first, or "
            "name another folder with --work"
        )
    make_folder(out / "networks")
    parts = []
    for experiment, results in found:
        whole = complete(experiment, results)
        claims = experiment.judge(results) if whole else []
        plots = {name: draw(name, experiment, results) for name in experiment.plots}
        for name, data in plots.items():
            write_atomic(out / f"{experiment.name}-{name}.png", data)
        content = _json(experiment, results, claims, whole)
        write_atomic(
            out / f"{experiment.name}.json", (json.dumps(content, indent=1) + "\n").encode()
        )
        write_atomic(
            out / f"{experiment.name}.md", _markdown(experiment, results, claims, whole).encode()
        )
        parts.append((experiment, results, claims, whole, plots))
        _keep(experiment, results, work, out / "networks")
    write_index(out / "networks")
    return write_atomic(out / "report.html", page(parts).encode())


def _json(
    experiment: Experiment, results: Results, claims: list[Claim], whole: bool
) -> dict[str, Any]:
    return {
        "experiment": experiment.name,
        "title": experiment.title,
        "question": experiment.question,
        "notes": experiment.notes,
        "command": experiment.command,
        "complete": whole,
        "claims": [{"claim": c.text, "measured": c.measured, "met": c.met} for c in claims],
        "groups": [
            {"name": g.name, "label": g.label, "trials": list(results[g.name])}
            for g in experiment.groups
        ],
    }


def _markdown(experiment: Experiment, results: Results, claims: list[Claim], whole: bool) -> str:
    lines = [f"# {experiment.title}", "", experiment.question, ""]
    lines += [experiment.notes, ""] if experiment.notes else []
    lines += [f"`{experiment.command}`", ""]
    if not whole:
        lines += ["**Not complete**: claims are judged when every seed is there.", ""]
    if claims:
        rows = [[c.text, c.measured, "yes" if c.met else "**no**"] for c in claims]
        lines += [markdown(["claim", "measured", "met"], rows), ""]
    for name, rows_of in ROWS.items():
        lines += [
            f"## {TITLES[name]}",
            "",
            markdown(COLUMNS[name], rows_of(experiment, results)),
            "",
        ]
    lines += [f"![{name}]({experiment.name}-{name}.png)" for name in experiment.plots]
    return "\n".join(lines) + "\n"


def _keep(experiment: Experiment, results: Results, work: Path, folder: Path) -> None:
    """Copy networks of first seeds that the experiment keeps, each with its card."""
    for group in experiment.groups:
        trial = group.trials()[0]
        record = next((r for r in results[group.name] if r["key"] == trial.key), None)
        if record is None or group.name not in experiment.keep:
            continue
        content = network_of(trial, record, work)
        if len(content) <= LARGEST:
            named = structure_of(ModelConfig.from_stored(record["model"]))
            add_network(folder, f"{experiment.name}-{group.name}", content, {**named, **record})
