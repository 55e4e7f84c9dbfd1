"""``python -m trust soak PART...``."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trust.record import RESULTS, Log, write
from trust.soak.agree import agree
from trust.soak.flags import flags
from trust.soak.kills import kills
from trust.soak.lava_runs import runs, streaming
from trust.soak.stops import stops

__all__ = ["PARTS", "options", "run"]

Part = Callable[[float, int, int, Path, Callable[[str], None]], dict[str, Any]]
# name: (part, share of the time, what --count counts at most without it)
PARTS: dict[str, tuple[Part, float, int]] = {
    "networks": (agree, 0.4, 10_000),
    "flags": (flags, 0.05, 50),
    "kills": (kills, 0.1, 200),
    "stops": (stops, 0.2, 100),
    "runs": (runs, 0.1, 200),
    "streaming": (streaming, 0.15, 1 << 40),
}


def options(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; all without one")
    parser.add_argument("--seconds", type=float, default=600.0, help="of all parts together")
    parser.add_argument("--count", type=int, help="networks, kills of each job, signals to each "
                        "command, runs, timesteps; as far as the time goes")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)


def run(arguments: argparse.Namespace) -> int:
    """1 if a promise was broken."""
    names = arguments.part or list(PARTS)
    if unknown := set(names) - set(PARTS):
        raise SystemExit(f"a part is one of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    log, found = Log(), 0
    shares = sum(PARTS[name][1] for name in names)
    for name in names:
        part, share, most = PARTS[name]
        # not a TemporaryDirectory: forked commands would remove it when they end
        folder = Path(tempfile.mkdtemp(prefix="mlsnn-soak-"))
        seconds = arguments.seconds * share / shares
        try:
            figures = part(seconds, arguments.count or most, arguments.seed, folder, log)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        found += len(figures["findings"])
        page = f"```json\n{json.dumps(figures, indent=1)}\n```\n"
        write(f"soak-{name}", f"Soaking: {name}", {name: figures}, page, log, arguments.out)
        log(f"{name}: {len(figures['findings'])} findings")
    return 1 if found else 0
