"""What the numbers depend on, without the machine's name."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any

__all__ = ["busy", "commit", "describe"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = (":!benchmarks/results", ":!results/trust")


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def _instructions() -> list[str]:
    """The vector instructions that decide how fast integers are."""
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return []
    return [name for name in wanted if name in flags]


def describe() -> dict[str, Any]:
    """CPU, cores, memory and system."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "instructions": _instructions(),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


def busy(seconds: float = 0.5) -> float:
    """Cores that other processes keep busy now (Linux; elsewhere 0): nothing of ours runs."""
    first = _ticks()
    time.sleep(seconds)
    total, idle = (b - a for a, b in zip(first, _ticks(), strict=True))
    return round((os.cpu_count() or 1) * (1 - idle / total), 2) if total else 0.0


def _ticks() -> tuple[int, int]:
    """All ticks of all cores so far, and those in which they were idle."""
    try:
        line = Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return 0, 0
    ticks = [int(value) for value in line.split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def commit() -> str:
    """The commit, with a mark if files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    name = git("rev-parse", "--short=12", "HEAD")
    if not name:
        return "unknown"
    # results of an earlier run are no change of the code
    changed = git("status", "--porcelain", "--", ".", *RESULTS)
    return f"{name} with changes" if changed else name
