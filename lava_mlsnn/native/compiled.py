"""The C of this folder as a library for this machine: compiled once, kept in the user's cache.

Kept is a library under a name that follows from the source, the flags, the compiler and the
instructions that it may use, so another machine with the same home makes its own.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import torch  # noqa: F401 - the threads that the loops take are found where it was loaded before

__all__ = ["FOLDER", "VARIABLE", "library", "missing"]

FOLDER = Path(__file__).parent
VARIABLE = "MLSNN_NATIVE"  # "no": torch's operators alone
NAMES = "loops.c", "rows.h", "pools.h"
# a product and its sum are one where the source says so; nobody reads the processor's traps
FLAGS = ("-O3", "-march=native", "-std=c11", "-ffp-contract=off", "-fno-trapping-math")
SHARED = ("-shared", "-fPIC")
SECONDS = 60


@functools.cache
def library() -> ctypes.CDLL | None:
    """The loops; None without a compiler, or where they were declined or do not compile."""
    compiler = shutil.which("cc")
    if _declined() or compiler is None:
        return None
    for folder in (_cache, _temporary):
        with suppress(OSError, RuntimeError, subprocess.SubprocessError):
            return _loaded(compiler, folder())
    return None


def _declined() -> bool:
    return os.environ.get(VARIABLE, "").lower() in ("no", "0", "false", "off")


def _loaded(compiler: str, folder: Path) -> ctypes.CDLL:
    kept = folder / f"loops-{_fingerprint(compiler)}.so"
    if kept.is_file():
        with suppress(OSError):  # damaged
            return ctypes.CDLL(str(kept))
    _compile(compiler, kept)
    return ctypes.CDLL(str(kept))


def missing() -> str:
    """A sentence where there are no loops and nobody declined them, else nothing."""
    if library() is not None or _declined():
        return ""
    return (
        "the neurons' loops in C could not be compiled (cc) and loaded, so they take torch's "
        "operators and a training up to a third longer; install a C compiler, or set "
        f"{VARIABLE}=no to read this no more"
    )


def _cache() -> Path:
    """The user's own folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = (base if base.is_absolute() else Path.home() / ".cache") / "lava-mlsnn"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is another user's")
    return folder


def _temporary() -> Path:
    """For this process, where the user has none that can be written and run from."""
    ours = tempfile.TemporaryDirectory(prefix="lava-mlsnn-")
    _TEMPORARY.append(ours)  # deleted as the process ends
    return Path(ours.name)


_TEMPORARY: list[tempfile.TemporaryDirectory[str]] = []


def _fingerprint(compiler: str) -> str:
    macros = _run([compiler, *FLAGS, "-dM", "-E", "-x", "c", os.devnull])
    sources = b"".join((FOLDER / name).read_bytes() for name in NAMES)
    return hashlib.sha256(macros + sources + " ".join(FLAGS).encode()).hexdigest()[:16]


def _compile(compiler: str, into: Path) -> None:
    """Whole or not at all, whoever else compiles it meanwhile."""
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".compiling-") as folder:
        made = Path(folder) / into.name
        _run([compiler, *FLAGS, *SHARED, "-o", str(made), str(FOLDER / NAMES[0]), "-lm"])
        with made.open("rb") as file:
            os.fsync(file.fileno())  # a library that is cut off ends the process that loads it
        made.replace(into)


def _run(command: list[str]) -> bytes:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True
    )
    return done.stdout
