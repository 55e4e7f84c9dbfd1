"""What reads untrusted bytes, the valid files it starts from, and what it may do with others.

A target's ``read(path, deep)`` returns None where the file was taken and the error of ours
that refused it, which is no fault; it raises where a promise is broken. ``deep`` asks for
the dearer comparisons.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from netx_export.errors import MLSNNError
from trust.fuzz import bytewise

__all__ = ["BrokenError", "Mutate", "Target", "named"]

Mutate = Callable[[bytes, random.Random, Sequence[bytes]], bytes]
LONGEST = 2000  # letters of a message


class BrokenError(Exception):
    """A promise that was not kept."""


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes
    ----------
    name : str
        Of the target.
    seeds : callable
        ``seeds(folder)``: valid files; the folder is for the work.
    read : callable
        ``read(path, deep)``: None, or what the file was refused with.
    structure : callable, optional
        Mutation that leaves the container whole; bytes alone without it.
    suffix : str
        Of the file's name.
    """

    name: str
    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path, bool], MLSNNError | None]
    structure: Mutate | None = None
    suffix: str = ".bin"

    def mutated(self, data: bytes, draw: random.Random, others: Sequence[bytes]) -> bytes:
        """The file damaged, in structure, in bytes, or in both."""
        how = draw.random()
        if self.structure is not None and how < 0.5:
            try:
                data = self.structure(data, draw, others)
            except Exception:  # a damaged file cannot be damaged in structure
                how = 1.0
        if self.structure is None or how > 0.4:
            data = bytewise.mutated(data, draw, others)
        return data


def named(error: MLSNNError, path: Path) -> MLSNNError:
    """The refusal, which is one line that names the file."""
    text = str(error)
    if str(path) not in text:
        raise BrokenError(f"the message does not name the file: {text[:300]!r}")
    if not text.isprintable() or len(text) > LONGEST:
        raise BrokenError(f"the message is no plain line of at most {LONGEST}: {text[:300]!r}")
    return error
