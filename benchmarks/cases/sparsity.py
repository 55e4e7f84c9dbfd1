"""At which density a layer that works event by event beats the runner's dense 8-bit one."""

from __future__ import annotations

import numpy as np

from benchmarks.bench import Bench
from benchmarks.measure import Side
from benchmarks.rows import Bar, Row, single

NAME = "sparsity"
LAYERS = ((32, 32), (64, 16), (128, 16))  # channels, size of the map
DENSITIES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)


def crossover(x: list[float], dense: list[float], events: list[float]) -> float:
    """Largest density at which events are as fast, in a log-log line between points; 0: none."""
    gap = np.log(events) - np.log(dense)
    below = np.flatnonzero(gap <= 0)
    if not len(below):
        return 0.0
    k = int(below[-1])
    if k == len(x) - 1:
        return x[k]
    part = -gap[k] / (gap[k + 1] - gap[k])
    return float(np.exp(np.log(x[k]) + part * (np.log(x[k + 1]) - np.log(x[k]))))


def run(bench: Bench) -> list[Row]:
    """One row a layer, and a plot."""
    rows, curves = [], {}
    for channels, size in bench.pick(LAYERS, LAYERS[:1]):
        name = f"{channels} channels, {size}x{size}"
        arguments = {
            "channels": channels,
            "size": size,
            "count": bench.pick(16, 2),
            "densities": list(bench.pick(DENSITIES, DENSITIES[::4])),
            "repeats": bench.pick(5, 2),
        }
        side = Side(name, "benchmarks.sides.sparsity:curve", arguments, 1)
        result = bench.measure(f"sparsity, {name}", [side], bench.pick(3, 1))[name]
        bar = Bar(
            f"crossover-{channels}-channels",
            f"density of payloads below which a 3x3 layer ({name}) is faster event by event",
            "the runner's dense 8-bit layer, one thread, batch 16",
            None,
            per="density of 1",
        )
        if result.failed:
            rows.append(single(bar, result))
            continue
        found = {
            key: np.median([r[key] for r in result.rounds], axis=0).tolist()
            for key in ("x", "dense", "events")
        }
        rows.append(single(bar, result, crossover(**found)))
        curves[name] = found
    bench.extras["sparsity"] = curves
    return rows
