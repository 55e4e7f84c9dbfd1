"""``python -m trust fuzz``."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from trust.fuzz.pool import TARGETS, Tally, fuzz
from trust.record import RESULTS, Log, table, write

__all__ = ["options", "run"]


def options(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, default=Path(".fuzz"), help="kept files")
    parser.add_argument("--turn", type=float, default=10.0, help="seconds of one child")
    parser.add_argument("--add", type=Path, nargs="*", default=[], help="results of earlier runs, "
                        "whose executions count too")  # fmt: skip
    parser.add_argument("--out", type=Path, default=RESULTS)


def run(arguments: argparse.Namespace) -> int:
    """1 if a promise was broken."""
    log = Log()
    earlier = [run for file in arguments.add for run in _runs(json.loads(file.read_text()))]

    def keep(tallies: dict[str, Tally]) -> None:
        figures, page = _figures(tallies, arguments.corpus)
        figures["earlier runs"] = earlier
        page += _said(earlier)
        write("fuzz", "Fuzzing", figures, page, log, arguments.out)

    names = arguments.target or list(TARGETS)
    tallies = fuzz(
        arguments.seconds,
        names,
        arguments.seed,
        corpus=arguments.corpus,
        say=log,
        turn=arguments.turn,
        keep=keep,
    )
    keep(tallies)
    total = sum(t.executions for t in tallies.values())
    found = sum(len(t.findings) for t in tallies.values())
    log(f"{total} executions, {found} findings")
    return 1 if found else 0


def _runs(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What a result counts: its own run last."""
    used = sum(t["seconds_of_the_processor"] for t in result["targets"].values())
    own = {name: result[name] for name in ("commit", "date", "executions", "findings")}
    return [*result.get("earlier runs", []), {**own, "seconds_of_the_processor": used}]


def _said(runs: list[dict[str, Any]]) -> str:
    line = "\nEarlier: {executions:,} at commit {commit}, {date}: {findings} findings.\n"
    return "".join(line.format(**run) for run in runs)


def _figures(tallies: dict[str, Tally], corpus: Path) -> tuple[dict[str, Any], str]:
    figures: dict[str, Any] = {"targets": {}}
    rows: list[tuple[Any, ...]] = []
    for name, tally in tallies.items():
        found = {}
        for what, finding in tally.findings.items():
            file = corpus / "findings" / f"{name}-{hashlib.sha256(finding.data).hexdigest()[:12]}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(finding.data)
            found[what] = {"detail": finding.detail, "file": file.name}
        rate = round(tally.executions / tally.processor, 1) if tally.processor else 0.0
        rows.append(
            (name, f"{tally.executions:,}", rate, tally.kept, tally.steps, tally.ends, len(found))
        )
        figures["targets"][name] = {
            "executions": tally.executions,
            "seconds": round(tally.seconds),
            "seconds_of_the_processor": round(tally.processor),
            "executions_per_second_of_the_processor": rate,
            "files_at_the_start": tally.seeds,
            "files_kept": tally.kept,
            "steps_from_line_to_line": tally.steps,
            "places_where_reading_ended": tally.ends,
            "findings": found,
        }
    total = sum(t.executions for t in tallies.values())
    figures["executions"] = total
    figures["findings"] = sum(len(t.findings) for t in tallies.values())
    head = ("target", "executions", "a second of a core", "files kept", "steps", "ends", "findings")
    rows.append(("all", f"{total:,}", "", "", "", "", figures["findings"]))
    return figures, table(rows, head)
