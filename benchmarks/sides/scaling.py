"""How the runner's time grows with one size of the network or of the work."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides.runner import runner_of
from benchmarks.sides.timing import timed

__all__ = ["series"]


def series(threads: int, points: list[dict[str, Any]], repeats: int) -> dict:
    """The median seconds of each point, in turns, all in this process.

    A point has ``x`` (what grows), ``spec``, ``samples`` and ``count``.
    """
    from netx_export import read

    work = []
    for point in points:
        stored = np.load(point["samples"])
        x = np.resize(stored, (point["count"], *stored.shape[1:]))
        work.append((runner_of(read(Path(point["spec"])), threads).run, x))
    times = [
        [timed(partial(run, x), 1, turn == 0)[0] for run, x in work] for turn in range(repeats)
    ]
    medians = np.median(times, axis=0).tolist()
    return {"seconds": [medians[-1]], "x": [p["x"] for p in points], "curve": medians}
