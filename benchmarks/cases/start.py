"""From the file to the first result of a Lava run."""

from __future__ import annotations

import numpy as np

from benchmarks.bench import Bench
from benchmarks.cases.common import resnet18
from benchmarks.measure import Side
from benchmarks.rows import Bar, Row, single

NAME = "start"


def run(bench: Bench) -> list[Row]:
    """One row, its parts in ``parts``."""
    net = resnet18(bench)
    side = Side(
        "Lava, from file to first result",
        "benchmarks.sides.lava_run:start",
        {"spec": net.spec, "samples": net.samples},
        1,
    )
    result = bench.measure(NAME, [side])[side.name]
    bar = Bar(
        "lava-start",
        "start of a Lava run of Sparse-ResNet-18, from the file to the first result, "
        "Lava's own compiler and process start included",
        "-",
        5.0,
        per="start",
    )
    row = single(bar, result)
    if not result.failed:
        names = result.rounds[0]["parts"]
        row.parts = {n: float(np.median([r["parts"][n] for r in result.rounds])) for n in names}
    return [row]
