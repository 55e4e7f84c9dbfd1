"""Which lines of our own code an execution came through, and in which order.

``sys.settrace`` alone: it is there on every Python, and C code (HDF5, zlib, Pillow)
runs at full speed beside it. Frames of other code are left at their first call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, TracebackType
from typing import Any

__all__ = ["Lines", "raised_at"]

FILES = ("/netx_export/", "/lava_mlsnn/data/", "/lava_mlsnn/training/", "/lava_mlsnn/checks.py")
LINE = 14  # bits of a line's number
PLACE = 32  # bits of a line of a file


class Lines:
    """Collects steps from line to line as numbers, the same in every child of one parent."""

    def __init__(self) -> None:
        self._base: dict[CodeType, int] = {}
        self._last = 0
        self.found: set[int] = set()

    def _of(self, code: CodeType) -> int:
        """First number of a code's file; -1 if it is not ours."""
        base = self._base.get(code)
        if base is None:
            base = -1
            if any(part in code.co_filename for part in FILES):
                base = hash(code.co_filename) % (1 << PLACE - LINE) << LINE
            self._base[code] = base
        return base

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if self._of(frame.f_code) >= 0 else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            here = self._base[frame.f_code] + frame.f_lineno
            self.found.add(self._last << PLACE | here)
            self._last = here
        return self._line

    @contextmanager
    def collected(self) -> Iterator[set[int]]:
        """The steps made inside."""
        self.found, self._last = set(), 0
        sys.settrace(self._call)
        try:
            yield self.found
        finally:
            sys.settrace(None)


def raised_at(error: BaseException | None) -> tuple[tuple[str, int], ...]:
    """The lines that an error and those before it came through: free, where one is raised."""
    places: list[tuple[str, int]] = []
    while error is not None:
        step: TracebackType | None = error.__traceback__
        while step is not None:
            places.append((step.tb_frame.f_code.co_filename.rsplit("/", 1)[-1], step.tb_lineno))
            step = step.tb_next
        error = error.__cause__ or error.__context__
    return tuple(places)
