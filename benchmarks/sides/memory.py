"""The peak of a process's resident memory over a piece of work."""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
from pathlib import Path

__all__ = ["Peak"]

STATUS = Path("/proc/self/status")


def _status(key: str) -> int:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


class Peak:
    """``with Peak() as peak``: ``peak.added`` bytes above the start, ``peak.total`` in all.

    On Linux the mark is set back at the start, as ``ru_maxrss`` also counts what was there
    before, even in the process that forked this one.
    """

    added = 0
    total = 0

    def __enter__(self) -> Peak:
        gc.collect()
        if STATUS.exists():
            with contextlib.suppress(OSError):  # refused: the peak so far counts as well
                Path("/proc/self/clear_refs").write_text("5")
            self._start = _status("VmRSS")
        else:
            self._start = self._maximum()
        return self

    def __exit__(self, *_: object) -> None:
        self.total = _status("VmHWM") if STATUS.exists() else self._maximum()
        self.added = self.total - self._start

    @staticmethod
    def _maximum() -> int:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
