"""Commands that are stopped from outside, and what they may leave: nothing but whole files."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil

from lava_mlsnn.training.checkpoint import load_checkpoint
from netx_export import lava_available, read

__all__ = ["COMMANDS", "SIGNALS", "arguments", "family", "listens", "nothing_is_left"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# OUT: a folder, MODEL and NET: files of a small trained network
COMMANDS: dict[str, tuple[str, ...]] = {
    "demo": ("demo", "--out", "OUT", "--epochs", "2"),
    "train": ("train", "--out", "OUT", "--epochs", "50", "--width", "4"),
    "export": ("export", "MODEL", "--out", "OUT/a.net"),
    "run": ("run", "NET"),
    "check": ("check", "NET", "--model", "MODEL", "--samples", "64", "--lava-samples", "64"),
    "check for Loihi 2": ("check", "NET", "--target", "loihi2"),
    "info": ("info", "NET"),
    "energy": ("energy", "NET"),
    "program": ("program", "NET", "--out", "OUT/program"),
    "reproduce": ("reproduce", "--work", "OUT/work", "--out", "OUT"),
}
if lava_available():
    COMMANDS["run in Lava"] = ("run", "NET", "--backend", "lava", "--samples", "300")
    COMMANDS["run per layer"] = (*COMMANDS["run in Lava"], "--per-layer")


def arguments(name: str, words: Mapping[str, str]) -> list[str]:
    """The arguments of a command, with words such as ``OUT`` replaced."""
    found = []
    for argument in COMMANDS[name]:
        for word, text in words.items():
            argument = argument.replace(word, text)
        found.append(argument)
    return found


def listens(pid: int) -> bool:
    """Whether a command has begun: before that, Python itself starts."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)


def family(leader: int) -> list[int]:
    """Processes of a session that still are."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def nothing_is_left(folder: Path, leader: int) -> None:
    """AssertionError for a process, a temporary file or a half-written one.

    ``folder`` has ``tmp``, the command's folder for temporary files, and ``out``.
    """
    assert (left := family(leader)) == [], f"processes {left} are left"
    assert (files := list((folder / "tmp").iterdir())) == [], f"{files} are left"
    for file in (folder / "out").rglob("*"):
        assert not file.name.startswith("."), f"{file} is left"
        if file.suffix == ".net":
            read(file)
        if file.suffix == ".json":
            json.loads(file.read_text())
        if file.suffix == ".pt":
            load_checkpoint(file)
