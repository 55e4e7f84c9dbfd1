"""What several cases measure with: Sparse-ResNet-18 on CIFAR shapes, and its samples."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.measure import Result, Side
from benchmarks.networks import CIFAR
from benchmarks.same import different_outputs

__all__ = ["LAYOUTS", "Resnet18", "resnet18", "same_scores", "torch_sides"]

LAYOUTS = {"NCHW": False, "channels_last": True}
SAMPLES = 1000


@dataclass(frozen=True)
class Resnet18:
    """Paths of the network file and of its samples."""

    spec: str
    samples: str


def resnet18(bench: Bench) -> Resnet18:
    """Sparse-ResNet-18, T = 1, N = 4, width 64, 10 classes, 32x32x3."""
    config = {"arch": "sparse-resnet-18", "input_shape": list(CIFAR), "classes": 10}
    spec = bench.prepare("sparse-resnet-18.net", "benchmarks.networks:resnet", config)
    arguments = {"count": SAMPLES, "shape": list(CIFAR), "levels": 127}
    samples = bench.prepare("cifar-shape.npy", "benchmarks.networks:random_samples", arguments)
    return Resnet18(str(spec), str(samples))


def torch_sides(net: Resnet18, threads: int, count: int, batch: int, passes: int) -> list[Side]:
    """The fp32 network in both memory layouts; the faster one is compared with."""
    return [
        Side(
            f"torch fp32, {layout}",
            "benchmarks.sides.torch_fp32:run",
            {
                "spec": net.spec,
                "samples": net.samples,
                "count": count,
                "batch": batch,
                "passes": passes,
                "channels_last": last,
            },
            threads,
        )
        for layout, last in LAYOUTS.items()
    ]


def same_scores(ours: Result, theirs: Result) -> str:
    """What differs between the scores of all samples that both sides ran."""
    a, b = ours.arrays["output"], theirs.arrays["output"]
    count = min(len(a), len(b))
    return different_outputs(a[:count], b[:count])
