"""Whole training steps of our networks against the same networks with ReLU in torch."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.cases.memory import same_training
from benchmarks.measure import Side
from benchmarks.networks import CIFAR
from benchmarks.rows import Bar, Row, compare

NAME = "step"
NETWORKS = (("sparse-resnet-20", 0, 1.15), ("sparse-resnet-18", 32, 1.05))  # width, reach in fp32
REACH_BF16 = 1.2


def run(bench: Bench) -> list[Row]:
    """Rows of both networks in float32 and in bfloat16 (autocast)."""
    rows = []
    batch = bench.pick(128, 4)
    for arch, width, reach in NETWORKS:
        for words, amp, goal in (("float32", False, reach), ("bfloat16", True, REACH_BF16)):
            arguments = {"arch": arch, "width": width, "shape": list(CIFAR), "batch": batch}
            arguments |= {"steps": bench.pick(12, 2), "amp": amp}
            sides = [
                Side(
                    name,
                    "benchmarks.sides.train_ours:steps",
                    {**arguments, "kind": kind},
                    bench.threads,
                )
                for name, kind in (("ours", "ours"), ("torch, ReLU, channels_last", "relu"))
            ]
            name = f"step-{arch}-{words}"
            ours, relu = bench.measure(name, sides).values()
            bar = Bar(
                name,
                f"a training step of {arch}{f', width {width}' * (width > 0)}, T = 1, N = 4, 8-bit "
                f"weights, batch {batch}, {words}",
                f"the same ResNet with ReLU and BatchNorm in torch, channels-last, {words}",
                goal,
                per="step",
            )
            rows.append(compare(bar, ours, [relu], same_training))
    return rows
