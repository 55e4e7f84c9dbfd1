"""How many threads train a network fastest here: measured, since no rule knows.

Small networks lose more by waiting for the slowest thread than they gain, by far where other
processes want the same cores.
"""

from __future__ import annotations

import math
import os
import time

import torch

from lava_mlsnn.checks import check_threads
from lava_mlsnn.training.session import Training

__all__ = ["cores", "fastest", "step_times"]

STEPS = 4  # of which the fastest counts: other processes, and the start of threads, only cost
HOPELESS = 3.0  # a first step so many times slower is not tried again
WORTH = 1.1  # more threads are taken, and still more tried, where they are faster by this
PATIENCE = 20.0  # seconds after which no more threads are tried


def cores() -> int:
    """Cores that this process may use, and no more than ``OMP_NUM_THREADS``."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(here, torch.get_num_threads()) if "OMP_NUM_THREADS" in os.environ else here


def step_times(run: Training, most: int) -> dict[int, float]:
    """Seconds of a training step on 1, 2, 4, ... and ``most`` threads; see :func:`fastest`.

    Ends where more threads no longer help.

    Parameters
    ----------
    run : Training
        Makes real steps, so that it is of no use for a training afterwards.
    most : int
        Of threads.
    """
    check_threads(most)
    before, start = torch.get_num_threads(), time.perf_counter()
    times: dict[int, float] = {}
    try:
        for number in [n for n in (1, 2, 4, 8, 16, 32, 64) if n < most] + [most]:
            torch.set_num_threads(number)
            fewer = min(times.values(), default=math.inf)
            times[number] = _fastest_step(run, HOPELESS * fewer)
            helps = times[number] * WORTH < fewer
            if not helps or time.perf_counter() - start > PATIENCE:
                break
    finally:
        torch.set_num_threads(before)
    return times


def fastest(times: dict[int, float]) -> int:
    """The number of threads to take: more only where they are faster by a tenth."""
    best, *more = times
    for number in more:
        if times[number] * WORTH < times[best]:
            best = number
    return best


def _fastest_step(run: Training, most: float) -> float:
    """Seconds of the fastest of some steps; of the first, if it takes longer than ``most``."""
    found = math.inf
    for _ in range(STEPS):
        start = time.perf_counter()
        run.steps(1)
        found = min(found, time.perf_counter() - start)
        if found > most:
            break
    return found
