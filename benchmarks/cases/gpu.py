"""Training on a GPU, only where torch sees one."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.cases.memory import same_training
from benchmarks.measure import Side
from benchmarks.networks import CIFAR
from benchmarks.rows import Bar, Row, compare

NAME = "gpu"


def run(bench: Bench) -> list[Row]:
    """Throughput and peak memory of Sparse-ResNet-18, batch 256."""
    arguments = {"arch": "sparse-resnet-18", "shape": list(CIFAR), "batch": 256}
    arguments["steps"] = bench.pick(50, 5)
    sides = [
        Side(name, "benchmarks.sides.train_ours:cuda", {**arguments, "kind": kind})
        for name, kind in (("ours", "ours"), ("torch, ReLU and BatchNorm", "relu"))
    ]
    results = bench.measure("gpu", sides)
    ours, relu = results.values()
    work, against = "training of Sparse-ResNet-18, batch 256", "the same ResNet with ReLU in torch"
    # theirs / ours of the seconds per step is ours / theirs of the throughput
    speed = Bar("gpu-training", f"throughput of {work}", against, 0.8, "at_least", "step")
    rows = [compare(speed, ours, [relu], same_training)]
    for result in (ours, relu):
        for turn in result.rounds:
            turn["seconds"] = [turn["peak_bytes"]]
    memory = Bar("gpu-memory", f"peak memory of {work}", against, 1.5, per="run", unit="B")
    rows.append(compare(memory, ours, [relu], same_training))
    if not ours.failed:
        bench.extras["gpu"] = ours.rounds[0]["device"]
    return rows
