"""The log and the figures of a run: what, where, by which command, of which commit."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import commit, describe

__all__ = ["RESULTS", "Log", "table", "write"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "trust"


class Log:
    """Lines with the time of day, on the terminal and kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.began = time.monotonic()

    def __call__(self, text: str) -> None:
        """Say one line; further ones of a finding are not indented."""
        line = f"{time.strftime('%H:%M:%S')} {text}"
        self.lines.append(line)
        print(line, flush=True)


def table(rows: Sequence[Sequence[Any]], head: Sequence[str]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines) + "\n"


def _command(arguments: Sequence[str]) -> str:
    """As it was given, without folders of this machine."""
    kept = [a for a, before in zip(arguments, ["", *arguments], strict=False)
            if not {a, before} & {"--out", "--corpus"}]  # fmt: skip
    return " ".join(["python -m trust", *kept])


def write(name: str, title: str, figures: dict[str, Any], page: str, log: Log, out: Path) -> None:
    """``name.json`` and ``name.md`` in a folder."""
    out.mkdir(parents=True, exist_ok=True)
    head: dict[str, Any] = {
        "commit": commit(),
        "command": _command(sys.argv[1:]),
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - log.began),
        "niceness": os.nice(0),
        "python": sys.version.split()[0],
        "machine": describe(),
    }
    content = {**head, **figures, "log": log.lines}
    (out / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    machine = head["machine"]
    text = (
        f"# {title}\n\nCommit {head['commit']}, {head['date']}, Python {head['python']}, "
        f"{machine['cores']} cores of {machine['cpu']} shared with other programs, "
        f"{head['seconds']} s at niceness {head['niceness']}:\n`{head['command']}`\n\n{page}"
    )
    (out / f"{name}.md").write_text(text)
