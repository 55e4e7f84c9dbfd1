"""Cost as depth, width, T and the number of samples grow."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.bench import Bench
from benchmarks.measure import Side
from benchmarks.rows import Bar, Row, single

NAME = "scaling"
SIZE = 16
# log-log slope that still counts as linear: the noise of a median over decades
GOAL = 1.1
GOALS = {"T": 1.0}  # weights are loaded once for all timesteps
AXES = {
    "depth": ("residual blocks", (1, 2, 4, 8, 16)),
    "width": ("multiply-accumulates (width squared)", (16, 32, 64, 128)),
    "T": ("timesteps T", (1, 2, 4, 8, 16)),
    "samples": ("samples", (64, 128, 256, 512, 1024)),
}


def run(bench: Bench) -> list[Row]:
    """One row an axis: the slope of time over size, both in logarithms."""
    rows, curves = [], {}
    for axis, (words, values) in AXES.items():
        points = [_point(bench, axis, value) for value in bench.pick(values, values[:2])]
        side = Side(
            f"runner, {axis}",
            "benchmarks.sides.scaling:series",
            {"points": points, "repeats": bench.pick(5, 2)},
            1,  # a second thread would only add noise to the slope
        )
        result = bench.measure(f"scaling, {axis}", [side], bench.pick(3, 1))[side.name]
        bar = Bar(
            f"scaling-{axis}",
            f"integer runner as the number of {words} grows: slope in a log-log plot",
            "1 is linear",
            GOALS.get(axis, GOAL),
            per="largest size",
        )
        if result.failed:
            rows.append(single(bar, result))
            continue
        curve = np.median([r["curve"] for r in result.rounds], axis=0)
        x = result.rounds[0]["x"]
        slope = float(np.polyfit(np.log(x), np.log(curve), 1)[0])
        rows.append(single(bar, result, slope))
        curves[axis] = {"label": words, "x": x, "seconds": curve.tolist(), "slope": slope}
    bench.extras["scaling"] = curves
    return rows


def _point(bench: Bench, axis: str, value: int) -> dict[str, Any]:
    sizes: dict[str, Any] = {"blocks": 2, "width": 32, "size": SIZE, "timesteps": 1, "levels": 4}
    count, x = bench.pick(32, 4), float(value)
    if axis == "depth":
        sizes["blocks"] = value
    elif axis == "width":
        sizes["width"] = value
        # the stem's 3 input channels and the readout are what is not quadratic
        x = float(27 * value + 2 * sizes["blocks"] * 9 * value**2)
    elif axis == "T":
        sizes["timesteps"] = value
    else:
        count = bench.pick(value, value // 16)
        x = float(count)
    name = "-".join(f"{key}{number}" for key, number in sizes.items())
    spec = bench.prepare(f"chain-{name}.net", "benchmarks.networks:chain", sizes)
    samples = bench.prepare(
        "chain.npy",
        "benchmarks.networks:random_samples",
        {"count": 64, "shape": [3, SIZE, SIZE], "levels": 127},
    )
    return {"x": x, "spec": str(spec), "samples": str(samples), "count": count}
