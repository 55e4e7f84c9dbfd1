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

__all__ = ["FOLDER", "VARIABLE", "library", "missing"]

FOLDER = Path(__file__).parent
VARIABLE = "MLSNN_NATIVE"  # "no": torch's operators alone
NAMES = "loops.c", "rows.h", "pools.h"
# as torch rounds: no product and sum in one; nobody reads the processor's traps
FLAGS = ("-O3", "-march=native", "-std=c11", "-ffp-contract=off", "-fno-trapping-math")
SHARED = ("-shared", "-fPIC")
SECONDS = 60


@functools.cache
def library() -> ctypes.CDLL | None:
    """The loops; None without a compiler, or where they were declined or do not compile."""
    compiler = shutil.which("cc")
    if os.environ.get(VARIABLE, "") == "no" or compiler is None:
        return None
    try:
        kept = _cache() / f"loops-{_fingerprint(compiler)}.so"
        if kept.is_file():
            with suppress(OSError):  # damaged
                return ctypes.CDLL(str(kept))
        _compile(compiler, kept)
        return ctypes.CDLL(str(kept))
    except (OSError, subprocess.SubprocessError):
        return None


def missing() -> str:
    """A sentence where there are no loops and nobody declined them, else nothing."""
    if library() is not None or os.environ.get(VARIABLE, "") == "no":
        return ""
    return (
        "no C compiler (cc) made the loops of the neurons, so they take torch's operators and a "
        f"training up to a third longer; install one, or set {VARIABLE}=no to read this no more"
    )


def _cache() -> Path:
    """The user's own folder, else one for this process."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        folder = (base if base.is_absolute() else Path.home() / ".cache") / "lava-mlsnn"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK) and folder.stat().st_uid == _me():
            return folder
    except (OSError, RuntimeError):  # nobody's home
        pass
    ours = tempfile.TemporaryDirectory(prefix="lava-mlsnn-")
    _TEMPORARY.append(ours)  # deleted as the process ends
    return Path(ours.name)


def _me() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


_TEMPORARY: list[tempfile.TemporaryDirectory[str]] = []


def _fingerprint(compiler: str) -> str:
    macros = _run([compiler, *FLAGS, "-dM", "-E", "-x", "c", os.devnull])
    sources = b"".join((FOLDER / name).read_bytes() for name in NAMES)
    return hashlib.sha256(macros + sources + " ".join(FLAGS).encode()).hexdigest()[:16]


def _compile(compiler: str, into: Path) -> None:
    """Whole or not at all, whoever else compiles it meanwhile."""
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".compiling-") as folder:
        made = Path(folder) / into.name
        _run([compiler, *FLAGS, *SHARED, "-o", str(made), str(FOLDER / NAMES[0])])
        made.replace(into)


def _run(command: list[str]) -> bytes:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True
    )
    return done.stdout
