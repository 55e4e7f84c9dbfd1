"""A process that damages and reads file after file, and says what it found."""

from __future__ import annotations

import os
import pickle
import random
import resource
import struct
import time
import traceback
import warnings
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from trust.fuzz.lines import Lines, raised_at
from trust.fuzz.targets import BrokenError, Target

__all__ = ["MOST_SECONDS", "ROOM", "STATUS", "Finding", "Known", "work"]

ROOM = 256 << 20  # bytes that one small file may take
MOST_SECONDS = 2.0  # of the processor, for one small file
TRACED, DEEP = 16, 32  # one in so many is traced line by line, or compared in full
LARGEST = 1 << 15  # bytes of a file that is kept
STATUS = struct.Struct("<QQB")  # cases begun, cases ended, whether one is being read


@dataclass
class Known:
    """What has been reached so far; files that reached something first are kept."""

    corpus: list[bytes] = field(default_factory=list)
    steps: set[int] = field(default_factory=set)
    ends: set[int] = field(default_factory=set)


@dataclass
class Finding:
    """One promise broken by one file."""

    what: str
    detail: str
    data: bytes


def work(
    target: Target, known: Known, seed: int, seconds: float, most: int, folder: Path, status: Any,
    pipe: Connection,
) -> None:  # fmt: skip
    """Read ``most`` damaged files, or for ``seconds``; runs in a child.

    The case is on the disk and in ``status`` before it is read, so that the parent can
    name it when this process is gone.
    """
    try:
        _work(target, known, seed, time.monotonic() + seconds, most, folder, status, pipe)
    except BaseException as error:  # not in a target: a fault of the fuzzer
        pipe.send_bytes(pickle.dumps(_fault(error, b"")))


def _work(
    target: Target, known: Known, seed: int, end: float, most: int, folder: Path, status: Any,
    pipe: Connection,
) -> None:  # fmt: skip
    draw, lines, begun = random.Random(seed), Lines(), 0
    path = folder / f"case{target.suffix}"
    _limit()
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and libpng talk there
    while begun < most and time.monotonic() < end:
        data = target.mutated(_chosen(known.corpus, draw), draw, known.corpus)[:LARGEST]
        path.write_bytes(data)
        begun += 1
        STATUS.pack_into(status, 0, begun, begun - 1, 1)
        traced, deep = begun % TRACED == 0, begun % DEEP == 1
        finding, steps, where = _read(target, path, data, lines, traced, deep)
        if not traced and where not in known.ends:  # a place not seen before: look closer
            path.write_bytes(data)
            again, steps, _ = _read(target, path, data, lines, True, True)
            finding = finding or again
        new = where not in known.ends or bool(steps - known.steps)
        STATUS.pack_into(status, 0, begun, begun, 0)
        known.ends.add(where)
        if new:
            known.steps |= steps
            known.corpus.append(data)
            pipe.send_bytes(pickle.dumps((data, steps, where)))
        if finding is not None:
            pipe.send_bytes(pickle.dumps(finding))


def _chosen(corpus: list[bytes], draw: random.Random) -> bytes:
    """Half of the time one of those that were found last."""
    recent = corpus[-16:] if draw.random() < 0.3 else corpus
    return draw.choice(recent)


def _read(
    target: Target, path: Path, data: bytes, lines: Lines, traced: bool, deep: bool
) -> tuple[Finding | None, set[int], int]:
    """What was broken, the steps from line to line if traced, and where reading ended."""
    held, peak, began = _held(), _peak(), time.process_time()
    refused, steps = None, set[int]()
    try:
        if traced:
            with lines.collected() as steps:
                refused = target.read(path, deep)
        else:
            refused = target.read(path, deep)
    except BaseException as error:
        return _fault(error, data), steps, hash(raised_at(error))
    used, now = time.process_time() - began, _peak()
    finding = None
    if now > peak and now - held > ROOM:
        finding = Finding("memory", f"{now - held >> 20} MiB more than before", data)
    elif used > MOST_SECONDS * (4 if traced else 1):
        finding = Finding("slow", f"{used:.1f} s of the processor", data)
    return finding, steps, hash(raised_at(refused))


def _fault(error: BaseException, data: bytes) -> Finding:
    if isinstance(error, BrokenError):
        return Finding(str(error).split(":")[0], str(error), data)
    text = "".join(traceback.format_exception(error))[-3000:]
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return Finding(f"raised {type(error).__name__} at {where}", text, data)


def _limit() -> None:
    """Address space beyond what is there now: a fault ends as MemoryError, not the machine."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 4 * ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"


def _held() -> int:
    """Bytes that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
