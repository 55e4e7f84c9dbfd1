"""Fuzzing: children that damage and read files, and a parent that names what killed one.

Each child is forked from a parent that has everything imported, reads for some seconds
and ends; a new one begins with what it found. So a process costs nothing per case, and
nothing that a case leaves behind lasts. atheris would do the first half, but needs clang
to be built, and its libFuzzer ends with the first case that HDF5 or Pillow ends.
"""

from __future__ import annotations

import gc
import mmap
import multiprocessing
import os
import pickle
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from trust.fuzz.child import STATUS, Finding, Known, work
from trust.fuzz.network_files import lava_dl, network
from trust.fuzz.other_files import checkpoint, events, images, recordings
from trust.fuzz.targets import Target

__all__ = ["TARGETS", "Tally", "fuzz"]

TARGETS: dict[str, Callable[[Path], Target | None]] = {
    "network": network,
    "lava-dl": lava_dl,
    "checkpoint": checkpoint,
    "images": images,
    "events": events,
    "recordings": recordings,
}
SHARE = {"network": 4, "lava-dl": 3, "checkpoint": 3}  # of the time; the others 1
STUCK = 10.0  # seconds of the processor for one case; then the child is killed
ASLEEP = 120.0  # seconds by the clock: a case that waits for something


@dataclass
class Tally:
    """What was done with one target."""

    executions: int = 0
    seconds: float = 0.0
    processor: float = 0.0  # seconds that its children used
    seeds: int = 0
    kept: int = 0
    steps: int = 0
    ends: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)
    known: Known = field(default_factory=Known)


def fuzz(
    seconds: float,
    names: list[str],
    seed: int = 0,
    most: int = 1 << 62,
    corpus: Path | None = None,
    say: Callable[[str], None] = print,
    turn: float = 10.0,
    keep: Callable[[dict[str, Tally]], None] | None = None,
) -> dict[str, Tally]:
    """Fuzz targets in turn for so many seconds together.

    Parameters
    ----------
    seconds : float
        By the clock.
    names : list of str
        Of :data:`TARGETS`; those whose package is missing are said and left out.
    seed : int
        Of the first child; the next ones count on.
    most : int
        Executions of one target.
    corpus : Path, optional
        Folder of files to start from besides the seeds, one folder a target; what
        reaches something new is added.
    say : callable
        Told one line for every finding and turn.
    turn : float
        Seconds of one child.
    keep : callable, optional
        Called with what was done so far after every turn.
    """
    tallies: dict[str, Tally] = {}
    # in memory: a case is a file, and there are hundreds of thousands
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="mlsnn-fuzz-", dir=base) as name:
        targets = _targets(names, Path(name), corpus, tallies, say)
        gc.freeze()  # children do not copy what they never free
        number, end = seed, time.monotonic() + seconds
        while targets and time.monotonic() < end:
            targets = [t for t in targets if tallies[t.name].executions < most]
            for target in targets:
                span = min(turn * SHARE.get(target.name, 1), end - time.monotonic())
                if span <= 0:
                    break
                tally = tallies[target.name]
                before = len(tally.known.corpus)
                _turn(target, tally, number, span, most - tally.executions, Path(name), say)
                _store(corpus, target, tally.known.corpus[before:])
                number += 1
                if keep is not None:
                    keep(tallies)
    return tallies


def _targets(
    names: list[str], folder: Path, corpus: Path | None, tallies: dict[str, Tally], say: Any
) -> list[Target]:
    found = []
    for name in names:
        place = folder / name
        place.mkdir()
        target = TARGETS[name](place)
        if target is None:
            say(f"{name}: left out, the package that reads them is not installed")
            continue
        seeds = target.seeds(place)
        for seed in seeds:
            path = place / f"seed{target.suffix}"
            path.write_bytes(seed)
            target.read(path, True)  # a fault of ours, not a finding
        kept = sorted((corpus / name).glob("*")) if corpus is not None else []
        known = Known(corpus=[*seeds, *(file.read_bytes() for file in kept)])
        tallies[name] = Tally(seeds=len(known.corpus), known=known)
        found.append(target)
    return found


def _store(corpus: Path | None, target: Target, files: list[bytes]) -> None:
    if corpus is None or not files:
        return
    folder = corpus / target.name
    folder.mkdir(parents=True, exist_ok=True)
    count = len(list(folder.iterdir()))
    for index, data in enumerate(files, count):
        (folder / f"{index:05}{target.suffix}").write_bytes(data)


def _turn(
    target: Target, tally: Tally, seed: int, seconds: float, most: int, folder: Path, say: Any
) -> None:
    """One child, from its start to its end."""
    context = multiprocessing.get_context("fork")
    place = folder / target.name
    status = mmap.mmap(-1, mmap.PAGESIZE)
    here, there = context.Pipe(duplex=False)
    arguments = (target, tally.known, seed, seconds, most, place, status, there)
    child = context.Process(target=work, args=arguments)
    began, used = time.monotonic(), _children()
    child.start()
    there.close()
    try:
        why = _watched(child, here, status, tally, say, target)
    finally:
        child.kill()
        child.join()
    _drain(here, tally, say, target, 0)
    done, ended, reading = STATUS.unpack_from(status, 0)
    tally.executions += done
    tally.seconds += time.monotonic() - began
    tally.processor += _children() - used
    if not why and child.exitcode:
        why = f"ended by code {child.exitcode}"
    if why and reading and done > ended:
        data = (place / f"case{target.suffix}").read_bytes()
        _found(tally, target, Finding(f"child {why}", "", data), say)
    tally.kept = len(tally.known.corpus) - tally.seeds
    tally.steps, tally.ends = len(tally.known.steps), len(tally.known.ends)
    status.close()
    here.close()
    say(
        f"{target.name}: {tally.executions} executions, {tally.executions / tally.seconds:.0f}/s, "
        f"{tally.kept} kept, {tally.steps} steps, {tally.ends} ends, "
        f"{len(tally.findings)} findings"
    )


def _watched(
    child: Any, pipe: Connection, status: Any, tally: Tally, say: Any, target: Target
) -> str:
    """Collect what the child sends until it ends; why it was killed, if it was."""
    last, used, seen = -1, 0.0, time.monotonic()
    while child.is_alive():
        _drain(pipe, tally, say, target, 0.2)
        case = STATUS.unpack_from(status, 0)[0]
        if case != last:
            last, used, seen = case, _processor(child.pid), time.monotonic()
        elif _processor(child.pid) - used > STUCK:
            return f"killed after {STUCK:.0f} s of the processor for one file"
        elif time.monotonic() - seen > ASLEEP:
            return f"killed after {ASLEEP:.0f} s for one file"
    return ""


def _children() -> float:
    """Seconds of the processor that all children used that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _processor(pid: int) -> float:
    """Seconds of the processor that a process used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _drain(pipe: Connection, tally: Tally, say: Any, target: Target, wait: float) -> None:
    try:
        while pipe.poll(wait):
            item = pickle.loads(pipe.recv_bytes())
            if isinstance(item, Finding):
                _found(tally, target, item, say)
            else:
                data, steps, where = item
                tally.known.corpus.append(data)
                tally.known.steps |= steps
                tally.known.ends.add(where)
            wait = 0
    except (EOFError, OSError):
        time.sleep(wait)


def _found(tally: Tally, target: Target, finding: Finding, say: Any) -> None:
    if finding.what not in tally.findings:
        tally.findings[finding.what] = finding
        say(f"{target.name}: FOUND {finding.what}: {finding.detail}")
