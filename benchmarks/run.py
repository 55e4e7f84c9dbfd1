"""Entry: ``python -m benchmarks [--only NAME] [--quick] [--out DIR]``."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.cache import Cache, fingerprint
from benchmarks.errors import SideError
from benchmarks.report import RESULTS, write_report
from benchmarks.rows import DIFFERENT, Row, today
from benchmarks.words import reached

__all__ = ["CASES", "main"]

ROOT = Path(__file__).resolve().parents[1]
CASES = (
    "lava",
    "runner",
    "training",
    "step",
    "memory",
    "start",
    "scaling",
    "growth",
    "sparsity",
    "gpu",
    "profile",
    "roofline",
    "accuracy",
)
LONG = ("accuracy",)  # hours, and images that are not ours: only where asked for


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the library beside what others offer."
    )
    parser.add_argument(
        "--only", action="append", choices=CASES, help="a group of rows; may be repeated"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and few rounds: to try it, not to quote"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the report, to whose runs this one is added (default: benchmarks/results, "
        "which is committed; with --only or --quick: .bench/report)",
    )
    parser.add_argument("--fresh", action="store_true", help="reuse no finished round")
    parser.add_argument(
        "--work", type=Path, default=ROOT / ".bench", help="folder of networks and finished rounds"
    )
    parser.add_argument(
        "--data", default="", help="accuracy: folder of CIFAR-10's images, train/<class>/"
    )
    parser.add_argument("--cores", type=int, default=2, help="cores and threads (default: 2)")
    return parser.parse_args(argv)


def run_case(module: ModuleType, bench: Bench) -> list[Row]:
    """The rows of a case; one that cannot even be prepared says why."""
    try:
        return module.run(bench)
    except SideError as error:
        bench.say(f"{module.NAME}: not measured: {error}")
        return [
            Row(
                name=f"{module.NAME}-preparation",
                work=f"preparation of {module.NAME}",
                against="-",
                ratio=None,
                goal=None,
                direction="at_most",
                met=None,
                ours_s=None,
                theirs_s=None,
                status="not measured",
                reason=str(error),
                date=today(),
            )
        ]


def context_of(bench: Bench, command: str, code: str, described: dict[str, Any]) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "machine": described,
        "cores": bench.cores,
        "threads": bench.threads,
        "commit": machine.commit(),
        "code_changed": fingerprint() != code,
        "date": today(),
        "command": command,
        "quick": bench.quick,
        "rounds": bench.rounds,
        "busy": max(bench.busy, default=0.0),
        "versions": bench.versions,
        "extras": bench.extras,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write the report; returns the exit code.

    Returns
    -------
    int
        0 when done, 1 if the outputs of two sides differ, 130 after Ctrl-C.
    """
    options = arguments(argv)
    given = sys.argv[1:] if argv is None else list(argv)
    command = shlex.join(["python", "-m", "benchmarks", *given])
    wanted = options.only or [name for name in CASES if name not in LONG]
    names = [name for name in CASES if name in wanted]
    partial = options.only is not None or options.quick
    out = options.out or (options.work / "report" if partial else RESULTS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the workers are ended
    described, code = machine.describe(), fingerprint()
    base = {"code": code, "machine": described, "quick": options.quick, "cores": options.cores}
    work = options.work.resolve()
    threads = min(options.cores, os.cpu_count() or 1)
    cache = Cache(work / "cache", base, options.fresh)
    bench = Bench(work, cache, options.quick, threads, options.cores, options.data)
    rows: list[Row] = []
    try:
        for number, name in enumerate(names, 1):
            bench.say(f"[{number}/{len(names)}] {name}")
            rows += run_case(importlib.import_module(f"benchmarks.cases.{name}"), bench)
    except KeyboardInterrupt:
        print("\nbench: stopped; the same command goes on after the last round", file=sys.stderr)
        return 130
    for row in rows:
        row.command, row.quick = command, options.quick
    write_report(out, rows, context_of(bench, command, code, described))
    bench.say("")
    for row in rows:
        bench.say(f"{row.name:42} {reached(row).replace('**', '')}")
    bench.say(f"\nreport: {out / 'latest.md'}")
    return 1 if any(row.status == DIFFERENT for row in rows) else 0
