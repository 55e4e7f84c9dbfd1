"""How far the limit is: arithmetic and bytes of each row, at this machine's measured peaks."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench
from benchmarks.cases.common import resnet18
from benchmarks.cases.step import NETWORKS
from benchmarks.measure import Side
from benchmarks.networks import CIFAR
from benchmarks.rows import Row

NAME = "roofline"
BLOCK = 32 * 32 * 9 * 16 * 16 * 32  # the training block: 3x3, 32 to 32 channels, 16x16, batch 32
BLOCK_VALUES = 32 * 16 * 16 * 32
BATCH = 128
PASSES = 4  # sums and payloads, forward and backward: each written once and read once


def run(bench: Bench) -> list[Row]:
    """No rows: ``roofline.md`` sets the limits beside the rows that there are."""
    net = resnet18(bench)
    files = {"runner": net.spec}
    for arch, width, _ in NETWORKS:
        config = {"arch": arch, "input_shape": list(CIFAR), "classes": 10, "width": width}
        files[arch] = str(
            bench.prepare(f"{arch}-{width}.net", "benchmarks.networks:resnet", config)
        )
    sides = [
        Side(name, "benchmarks.sides.peaks:work", {"spec": file}, 1) for name, file in files.items()
    ]
    works = {
        name: result.rounds[0]["facts"]
        for name, result in bench.measure("roofline, work", sides, 1).items()
        if not result.failed
    }
    if len(works) < len(files):
        return []
    found = {}
    for threads in sorted({1, bench.threads}):
        arguments = {"weights": works["runner"]["weights"]}
        side = Side("peaks", "benchmarks.sides.peaks:peaks", arguments, threads)
        result = bench.measure(f"roofline, threads: {threads}", [side], 1)["peaks"]
        if result.failed:
            return []
        found[threads] = result.rounds[0]["peaks"]
    limits = _runner(works["runner"], found, bench.threads)
    limits |= _training(works, found[bench.threads])
    bench.extras["roofline"] = {"peaks": {str(k): v for k, v in found.items()}, "limits": limits}
    return []


def _limit(products: float, rate: float, size: float, bandwidth: float) -> dict[str, Any]:
    """Seconds that products and bytes take at the peaks; None where a peak is not known."""
    return {
        "products": products,
        "bytes": size,
        "arithmetic": products / rate if rate else None,
        "reading": size / bandwidth,
    }


def _runner(work: dict[str, int], peaks: dict[int, dict[str, float]], most: int) -> dict[str, Any]:
    """A sample: its products, and all weights once a call."""
    many, one = peaks[most], peaks[1]
    forms = {
        "": (many, work["weights"] / 64),
        "-batch-1": (many, work["weights"]),
        "-batch-1-one-thread": (one, work["weights"]),
    }
    limits = {
        f"runner-vs-{name}{form}": _limit(work["products"], at["int8"], size, at["weights"])
        for name in ("onnxruntime", "openvino")
        for form, (at, size) in forms.items()
    }
    limits["latency-leaf-p50"] = _limit(
        work["products"], one["int8"], work["weights"], one["weights"]
    )
    return limits


def _training(works: dict[str, Any], peaks: dict[str, float]) -> dict[str, Any]:
    """Forward and both gradients, but for that of the image; values in the step's number type."""
    limits = {}
    for timesteps, levels in ((1, 4), (4, 1)):
        size = 4 * 2 * PASSES * BLOCK_VALUES * timesteps
        found = _limit(3 * BLOCK * timesteps, peaks["float32"], size, peaks["memory"])
        for name in ("lava-dl-sigma-delta", "lava-dl-cuba", "spikingjelly"):
            limits[f"block-T{timesteps}-N{levels}-vs-{name}"] = found
    for arch, _, _ in NETWORKS:
        work = works[arch]
        products = BATCH * (3 * work["products"] - work["first"])
        for words, width in (("float32", 4), ("bfloat16", 2)):
            size = width * 2 * PASSES * BATCH * work["values"]
            limits[f"step-{arch}-{words}"] = _limit(products, peaks[words], size, peaks["memory"])
    return limits
