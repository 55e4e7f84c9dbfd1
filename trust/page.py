"""``python -m trust page``: the figures of the last long runs in ``docs/trust.md``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from trust.record import RESULTS, ROOT, table

__all__ = ["PAGE", "options", "renewed", "run"]

PAGE = ROOT / "docs" / "trust.md"
START = "<!-- runs: written by `python -m trust page` from results/trust -->\n"
END = "<!-- end of runs -->\n"
Row = tuple[str, str, str]  # what was counted, how often, with what outcome


def _fuzz(r: dict[str, Any]) -> list[Row]:
    earlier = r.get("earlier runs", [])
    used = sum(t["seconds_of_the_processor"] for t in r["targets"].values())
    used += sum(run["seconds_of_the_processor"] for run in earlier)
    done = r["executions"] + sum(run["executions"] for run in earlier)
    rate = f"{done / max(1, used):.0f} a second of a core"
    which = f" in the last of {len(earlier) + 1} runs" if earlier else ""
    return [("damaged files", f"{done:,}", f"{r['findings']} findings{which}; {rate}")]


def _networks(r: dict[str, Any]) -> list[Row]:
    part, sides = r["networks"], r["networks"]["compared with plain 64-bit integers"]
    lava = sides.get("Lava leaf", 0)
    done = f"{part['networks']:,}, of these in Lava {lava}"
    compared = f"{part['integers compared']:,} integers, {len(part['findings'])} differences"
    return [("drawn networks", done, compared)]


def _kills(r: dict[str, Any]) -> list[Row]:
    jobs = r["kills"]["jobs"].values()
    done, ended = (sum(j[k] for j in jobs) for k in ("kills", "finished"))
    found = len(r["kills"]["findings"])
    return [("kills", str(done), f"{ended} results compared; {found} lost, unreadable or other")]


def _stops(r: dict[str, Any]) -> list[Row]:
    tallies = r["stops"]["commands"].values()
    sent, slowest = sum(t["signals"] for t in tallies), max(t["slowest end"] for t in tallies)
    found = len(r["stops"]["findings"])
    done = f"{sent} to {len(tallies)} commands"
    return [("signals", done, f"{found} went on or left something; slowest end {slowest} s")]


def _runs(r: dict[str, Any]) -> list[Row]:
    part = r["runs"]
    (when, first), last = (
        next((k, v) for k, v in part.items() if k.startswith("after")),
        part["at the end"],
    )
    same = all(first.get(k) == last.get(k) for k in ("descriptors", "threads", "children"))
    grown = (last.get("memory", 0) - first.get("memory", 0)) / 2**20
    what = f"descriptors, threads, children as {when}" if same else "**not as before**"
    return [("runs in Lava in one process", str(part["runs"]), f"{what}, {grown:+.1f} MiB")]


def _streaming(r: dict[str, Any]) -> list[Row]:
    part = r["streaming"]
    memory = part["MiB of this process after each run"]
    done = f"{part['timesteps']:,} timesteps in {part['seconds']} s"
    grown = f"{memory[-1] - memory[0]:+d} MiB" if len(memory) > 1 else "memory seen once"
    flat = f"{part['differences']} differences, {grown}"
    return [("streaming at T = 1 in the leaf model", done, flat)]


def _flags(r: dict[str, Any]) -> list[Row]:
    part = r["flags"]
    done = f"{len(part['flags'])} sets, {part['networks']} networks each"
    return [("flags of the platform", done, f"{len(part['findings'])} differences")]


def _mutation(r: dict[str, Any]) -> list[Row]:
    share = 100 * r["killed"] / max(1, r["tried"])
    done = f"{r['tried']} of {r['mutants']}"
    reasons = f"{r['survived, with a reason']} survived with a reason, "
    return [("mutants", done, f"{share:.0f} % killed; {reasons}{r['survived, without']} without")]


def _coverage(r: dict[str, Any]) -> list[Row]:
    what = f"{r['branches taken, %']} % of the branches, {r['lines reached, %']} % of the lines"
    return [("coverage", f"`{r['command'].removeprefix('python -m trust ')}`", what)]


def _supply(r: dict[str, Any]) -> list[Row]:
    compared = "every file compared" if r["files compared"] else "files not compared"
    return [("packages", str(len(r["packages"])), f"{len(r['findings'])} findings; {compared}")]


# file: (its row, what the project wants to reach)
RUNS: dict[str, tuple[Callable[[dict[str, Any]], list[Row]], str]] = {
    "fuzz": (_fuzz, "1,000,000"),
    "soak-networks": (_networks, "10,000, 200 in Lava"),
    "soak-kills": (_kills, "200"),
    "soak-stops": (_stops, "100 to each"),
    "soak-runs": (_runs, "200"),
    "soak-streaming": (_streaming, "one hour"),
    "soak-flags": (_flags, ""),
    "mutation": (_mutation, "90 % killed"),
    "coverage": (_coverage, "95 % of the branches"),
    "supply": (_supply, ""),
}


def renewed(text: str) -> str:
    """The page with the figures of the results that are there."""
    rows = []
    for name, (row, reach) in RUNS.items():
        file = RESULTS / f"{name}.json"
        if not file.exists():
            rows.append((name, "not run yet", "", reach, ""))
            continue
        result = json.loads(file.read_text())
        rows += [(*cells, reach, result["commit"]) for cells in row(result)]
    made = table(rows, ("what", "done", "outcome", "to reach", "commit"))
    before, rest = text.split(START)
    return before + START + made + END + rest.split(END)[1]


def options(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Write the page."""
    PAGE.write_text(renewed(PAGE.read_text()))
    return 0
