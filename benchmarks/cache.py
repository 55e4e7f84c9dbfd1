"""Finished rounds, kept on disk: an interrupted run goes on where it stopped.

A round is one measurement of every side of a case, taken right after each other, so what is
reused is always whole. Its key holds all that it depends on: the job, the machine, and a
fingerprint of the code, so a changed library is measured again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from netx_export.file.atomic import write_atomic

__all__ = ["Cache", "fingerprint"]

ROOT = Path(__file__).resolve().parents[1]
CODE = ("lava_mlsnn", "netx_export", "benchmarks")


def fingerprint(root: Path = ROOT, folders: Iterable[str] = CODE) -> str:
    """Hash of every source that a measurement runs."""
    total = hashlib.sha256()
    for folder in folders:
        files = (root / folder).rglob("*")
        for file in sorted(f for f in files if f.suffix in (".py", ".c")):
            total.update(f"{file.relative_to(root)}\0".encode())
            total.update(file.read_bytes())
    return total.hexdigest()[:16]


class Cache:
    """A folder with a file a round.

    Parameters
    ----------
    folder : Path
        Made when needed.
    base : dict
        What every key holds: code fingerprint, machine.
    fresh : bool
        Reuse nothing, write all the same.
    """

    def __init__(self, folder: Path, base: dict[str, Any], fresh: bool = False) -> None:
        self.folder = folder
        self.base = base
        self.fresh = fresh
        folder.mkdir(parents=True, exist_ok=True)

    def key(self, **parts: Any) -> str:
        """Name of the round that these parts make."""
        text = json.dumps({**self.base, **parts}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def get(self, key: str) -> dict[str, Any] | None:
        """The round, or None if it is not there or not whole."""
        if self.fresh:
            return None
        try:
            found: dict[str, Any] = json.loads((self.folder / f"{key}.json").read_text())
        except (OSError, ValueError):
            return None
        files = (side.get("npz") for side in found["sides"].values())
        return found if all(Path(f).exists() for f in files if f) else None

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Keep a finished round."""
        write_atomic(self.folder / f"{key}.json", json.dumps(value).encode())
