"""``python -m trust coverage``: branches of our own code that the tests take."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from trust.record import RESULTS, ROOT, Log, table, write

__all__ = ["options", "run"]

OURS = ("lava_mlsnn", "netx_export")
SETTINGS = """[run]
branch = true
source = {source}
parallel = true
data_file = {folder}/data
sigterm = true
concurrency = multiprocessing, thread

[report]
exclude_also =
    if TYPE_CHECKING:
    \\.\\.\\.$
"""


def options(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("tests", nargs="*", default=["tests"], help="files or folders of tests")
    parser.add_argument("--source", action="append", help="packages; both without it")
    parser.add_argument(
        "--contexts", type=Path, help="keep which test took which line, for mutants"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)


def run(arguments: argparse.Namespace) -> int:
    """The exit code of the tests; children that the tests start are counted too."""
    if importlib.util.find_spec("coverage") is None:
        raise SystemExit(
            "coverage is not installed; pip install -c constraints.txt -e '.[trust]' brings it"
        )
    log = Log()
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings"
        source = ", ".join(arguments.source or OURS)
        settings.write_text(SETTINGS.format(folder=folder, source=source))
        command = [sys.executable, "-m", "coverage"]
        tests = ["-q", "-n", "0", "-p", "trust.contexts", *arguments.tests]
        given = ["run", f"--rcfile={settings}", "-m", "pytest", *tests]
        environment = {**os.environ, "COVERAGE_PROCESS_START": str(settings)}
        done = subprocess.run([*command, *given], cwd=ROOT, env=environment)
        log(f"the tests ended with code {done.returncode}")
        for given in (["combine", "-q"], ["json", "-q", "-o", f"{folder}/report.json"]):
            made = [*command, given[0], f"--rcfile={settings}", *given[1:]]
            subprocess.run(made, cwd=ROOT, check=True)
        if arguments.contexts is not None:
            shutil.copy(f"{folder}/data", arguments.contexts)
        report = json.loads((Path(folder) / "report.json").read_text())
    figures, page = _figures(report)
    log(f"{figures['branches taken, %']} % of the branches")
    write("coverage", "Branch coverage", figures, page, log, arguments.out)
    return done.returncode


def _figures(report: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """By folder, and the lines that nothing came to."""
    rooms: dict[str, list[int]] = {}
    missing = {}
    for name, file in report["files"].items():
        room = "/".join(name.split("/")[:2]) if name.count("/") > 1 else name
        summary, sums = file["summary"], rooms.setdefault(room, [0, 0, 0, 0])
        for index, key in enumerate(
            ("num_branches", "covered_branches", "num_statements", "covered_lines")
        ):
            sums[index] += summary[key]
        if file["missing_branches"]:
            missing[name] = [f"{a} to {b}" for a, b in file["missing_branches"]]
    everything = [sum(column) for column in zip(*rooms.values(), strict=True)]
    rows = [(f"`{room}`", *_shares(sums)) for room, sums in sorted(rooms.items())]
    rows.append(("all", *_shares(everything)))
    figures = {
        "branches taken, %": _shares(everything)[1],
        "lines reached, %": _shares(everything)[3],
        "branches not taken": missing,
    }
    head = ("room", "branches", "taken, %", "lines", "reached, %")
    return figures, table(rows, head)


def _shares(sums: list[int]) -> tuple[int, float, int, float]:
    branches, taken, lines, reached = sums
    share = lambda part, whole: round(100 * part / whole, 1) if whole else 100.0  # noqa: E731
    return branches, share(taken, branches), lines, share(reached, lines)
