"""Peak memory of the runner and of training, against torch fp32 of the same network."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.cases.common import LAYOUTS, resnet18, same_scores
from benchmarks.measure import Result, Side
from benchmarks.networks import CIFAR
from benchmarks.rows import Bar, Row, compare

NAME = "memory"
GOAL = 1.0


def same_training(ours: Result, theirs: Result) -> str:
    """Both must have as many convolution weights, and finite losses."""
    a, b = ours.rounds[-1]["facts"], theirs.rounds[-1]["facts"]
    return "" if a == b and a["finite"] else f"the trainings differ: {a} and {b}"


def run(bench: Bench) -> list[Row]:
    """Bytes in place of seconds; memory hardly varies, so fewer rounds do."""
    return [_runner(bench), _training(bench)]


def _runner(bench: Bench) -> Row:
    net = resnet18(bench)
    saved = bench.prepare(
        "sparse-resnet-18.pt", "benchmarks.sides.torch_fp32:save", {"spec": net.spec}
    )
    count = bench.pick(1000, 128)
    arguments = {"samples": net.samples, "count": count, "batch": 64}
    sides = [
        Side(
            "integer runner",
            "benchmarks.sides.runner:memory",
            {**arguments, "spec": net.spec},
            bench.threads,
        ),
        *(
            Side(
                f"torch fp32, {layout}",
                "benchmarks.sides.torch_fp32:memory",
                {**arguments, "model": str(saved), "channels_last": last},
                bench.threads,
            )
            for layout, last in LAYOUTS.items()
        ),
    ]
    ours, *theirs = bench.measure("memory of the runner", sides, bench.pick(3, 1)).values()
    bar = Bar(
        "memory-runner",
        f"peak memory of the integer runner, Sparse-ResNet-18, {count:,} samples, batch 64, "
        "from the file to the scores",
        "torch fp32 of the same network, from its saved weights to the scores",
        GOAL,
        per="run",
        unit="B",
    )
    return compare(bar, ours, theirs, same_scores)


def _training(bench: Bench) -> Row:
    batch = bench.pick(32, 8)
    arguments = {"arch": "sparse-resnet-18", "shape": list(CIFAR), "batch": batch, "steps": 3}
    sides = [
        Side(
            name,
            "benchmarks.sides.train_ours:memory",
            {**arguments, "kind": kind},
            bench.threads,
        )
        for name, kind in (("ours", "ours"), ("torch, ReLU and BatchNorm", "relu"))
    ]
    ours, relu = bench.measure("memory of training", sides, bench.pick(3, 1)).values()
    bar = Bar(
        "memory-training",
        f"peak memory of training Sparse-ResNet-18, batch {batch}, T = 1, N = 4, above that "
        "before the first step",
        "the same ResNet with ReLU and BatchNorm in torch fp32",
        GOAL,
        per="run",
        unit="B",
    )
    return compare(bar, ours, [relu], same_training)
