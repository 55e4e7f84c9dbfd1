"""``python -m trust mutation``."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trust.mutation.mutants import Mutant, mutants_of
from trust.mutation.session import covered, exchanged, in_session
from trust.mutation.targets import TARGETS, WHY
from trust.mutation.trial import ROOT, trial, warm
from trust.record import RESULTS, Log, table, write

__all__ = ["options", "run"]


def options(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--count", type=int, default=100, help="mutants, drawn by the seed")
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--file", action="append", choices=list(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--contexts", type=Path, help="what coverage kept: only the tests that "
                        "come through a line try its mutants, without an import each")  # fmt: skip
    parser.add_argument("--tests", type=int, default=100, help="tests of a mutant: so many "
                        "that come through the fewest lines, and those of its file")  # fmt: skip
    parser.add_argument("--out", type=Path, default=RESULTS)


def run(arguments: argparse.Namespace) -> int:
    """1 if a mutant survived that has no reason to."""
    log, end = Log(), time.monotonic() + arguments.seconds
    files = arguments.file or list(TARGETS)
    sources = {file: (ROOT / file).read_text() for file in files}
    everything = [m for file in files for m in mutants_of(file, sources[file])]
    if arguments.contexts is not None:  # constants of a module are copied to wherever they are used
        everything = [m for m in everything if exchanged(m, sources[m.file]) is not None]
    chosen = random.Random(arguments.seed).sample(everything, len(everything))[: arguments.count]
    log(f"{len(chosen)} of {len(everything)} mutants")
    found: list[tuple[Mutant, str]] = []

    def tell(mutant: Mutant, result: str, test: str = "") -> bool:
        found.append((mutant, result))
        seen = f" ({test})" if test else ""
        log(f"{result}: {mutant.file}:{mutant.line}: {mutant.before} -> {mutant.after}{seen}")
        write("mutation", "Mutants", *_figures(found, len(everything)), log, arguments.out)
        return time.monotonic() < end

    if arguments.contexts is None:
        _alone(chosen, tell)
    else:
        in_session(
            chosen,
            covered(arguments.contexts, {f: TARGETS[f] for f in files}, arguments.tests),
            tell,
        )
    return int(any(r == "survived" and m.name not in WHY for m, r in found))


def _alone(mutants: list[Mutant], tell: Callable[[Mutant, str], bool]) -> None:
    """Each with imports of its own."""
    warm()
    for file in sorted({m.file for m in mutants}):
        if trial(Mutant(file, 0, "nothing", "nothing"), TARGETS[file]) != "survived":
            raise SystemExit(f"{file}: its tests fail without a fault: {' '.join(TARGETS[file])}")
    for mutant in mutants:
        if not tell(mutant, trial(mutant, TARGETS[mutant.file])):
            break


def _figures(found: list[tuple[Mutant, str]], everything: int) -> tuple[dict[str, Any], str]:
    """Timeouts count as seen: a test that does not end is noticed."""
    killed = sum(result != "survived" for _, result in found)
    excused = sum(result == "survived" and m.name in WHY for m, result in found)
    rows = []
    for file in TARGETS:
        results = [result for m, result in found if m.file == file]
        if results:
            seen = sum(result != "survived" for result in results)
            rows.append((f"`{file}`", len(results), seen))
    rows.append(("all", len(found), killed))
    survivors = [
        {"mutant": m.name, "line": m.line, "why": WHY.get(m.name, "")}
        for m, result in found
        if result == "survived"
    ]
    figures = {
        "mutants": everything,
        "tried": len(found),
        "killed": killed,
        "survived, with a reason": excused,
        "survived, without": len(found) - killed - excused,
        "survivors": survivors,
    }
    lines = [f"- line {s['line']}: `{s['mutant']}`: {s['why'] or '**open**'}" for s in survivors]
    text = table(rows, ("file", "mutants tried", "killed"))
    return figures, text + "\nSurvivors:\n\n" + "\n".join(lines or ["none"]) + "\n"
