"""One HTML page with everything inside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

from lava_mlsnn.reproduce.tables import COLUMNS, ROWS
from lava_mlsnn.reproduce.trial import Claim, Experiment, Results

__all__ = ["page"]

Part = tuple[Experiment, Results, list[Claim], bool, dict[str, bytes]]
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 14px; }
th, td { border-bottom: 1px solid #ccc; padding: .25rem .6rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
table.claims td, table.claims th { text-align: left; }
.yes { color: #06702b; } .no { color: #b00020; font-weight: 600; }
img { max-width: 100%; } code { background: #f3f3f3; padding: 0 .2rem; }
nav li { margin: .1rem 0; } .small { color: #555; font-size: 13px; }
@media (prefers-color-scheme: dark) {
  body { background: #161616; color: #ddd; } code { background: #2a2a2a; }
  .yes { color: #5fd38a; } .no { color: #ff7a8a; } img { background: #fff; } .small { color: #aaa; }
}
"""
TITLES = {
    "accuracy": "Accuracy over the test split (mean ± deviation over seeds)",
    "activity": "Activity per sample (mean over seeds)",
    "energy": "Energy, nJ per sample (analytical model, mean over seeds)",
}


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _claims(claims: list[Claim]) -> str:
    if not claims:
        return "<p><em>Not complete: claims are judged when every seed is there.</em></p>"
    rows = "".join(
        f"<tr><td>{escape(c.text)}</td><td>{escape(c.measured)}</td>"
        f'<td class="{"yes" if c.met else "no"}">{"yes" if c.met else "no"}</td></tr>'
        for c in claims
    )
    head = "<tr><th>claim</th><th>measured</th><th>met</th></tr>"
    return f'<table class="claims">{head}{rows}</table>'


def _section(part: Part) -> str:
    experiment, results, claims, _, plots = part
    tables = "".join(
        f"<h3>{escape(TITLES[name])}</h3>{_table(COLUMNS[name], rows(experiment, results))}"
        for name, rows in ROWS.items()
    )
    images = "".join(
        f'<p><img alt="{escape(name)}" src="data:image/png;base64,'
        f'{base64.b64encode(data).decode()}"></p>'
        for name, data in plots.items()
    )
    records = [r for found in results.values() for r in found]
    commits = ", ".join(sorted({r["commit"] for r in records if r["commit"]})) or "unknown"
    dates = sorted({r["date"] for r in records})
    seconds = sum(r["training_seconds"] for r in records)
    source = (
        f"{len(records)} trainings, {seconds / 60:.0f} minutes on one thread each; {dates[0]} to "
        f"{dates[-1]}; commits {commits} (+: with changes that were not committed yet)"
    )
    notes = f"<p>{escape(experiment.notes)}</p>" if experiment.notes else ""
    return (
        f'<section id="{experiment.name}"><h2>{escape(experiment.title)}</h2>'
        f"<p>{escape(experiment.question)}</p>{notes}<p><code>{escape(experiment.command)}</code></p>"
        f'{_claims(claims)}{images}{tables}<p class="small">{escape(source)}</p></section>'
    )


def page(parts: Sequence[Any]) -> str:
    """The page of all experiments, without anything that must be fetched."""
    links = "".join(f'<li><a href="#{e.name}">{escape(e.title)}</a></li>' for e, *_ in parts)
    sections = "".join(_section(part) for part in parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>lava-mlsnn: evidence</title>'
        f"<style>{STYLE}</style></head><body><h1>The claims of arXiv:2510.24637, measured</h1>"
        "<p>Made by <code>mlsnn reproduce</code>. Accuracy, events and energy are those of the "
        "exported integers. Energy is an analytical model, not a measurement.</p>"
        f"<nav><ul>{links}</ul></nav>{sections}</body></html>\n"
    )
