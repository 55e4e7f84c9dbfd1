"""The integer runner against torch fp32 and onnxruntime, many samples and one at a time."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.cases.common import Resnet18, resnet18, same_scores, torch_sides
from benchmarks.measure import Result, Side
from benchmarks.rows import Bar, Row, compare

NAME = "runner"
OURS = "integer runner"
EQUAL = "onnxruntime, equal outputs"
USUAL = "onnxruntime, usual QDQ"


def run(bench: Bench) -> list[Row]:
    """Rows of 1,000 samples at batch 64, and of batch 1 with all and with one thread."""
    net = resnet18(bench)
    count, passes = bench.pick(1000, 128), bench.pick(3, 1)
    sides = [
        _ours(net, bench.threads, count, 64, passes),
        *torch_sides(net, bench.threads, count, 64, passes),
        *_onnx(net, bench.threads, count, 64, passes),
    ]
    many = bench.measure("runner", sides)
    torch = [r for name, r in many.items() if name.startswith("torch")]
    bars = {
        "runner-vs-torch": Bar(
            "runner-vs-torch-fp32",
            f"integer runner, {count:,} CIFAR-size samples through Sparse-ResNet-18, batch 64",
            "torch fp32 eval of the same network, same batch, same threads",
            0.4,
        ),
        "runner-vs-onnx": Bar(
            "runner-vs-onnxruntime",
            f"integer runner, {count:,} CIFAR-size samples through Sparse-ResNet-18, batch 64",
            "onnxruntime, the same network as an int8 QDQ model with equal outputs, same threads",
            1.2,
        ),
    }
    rows = [
        compare(bars["runner-vs-torch"], many[OURS], torch, same_scores),
        _against_onnx(bars["runner-vs-onnx"], many),
    ]
    for threads in sorted({bench.threads, 1}, reverse=True):
        rows.append(_one_at_a_time(bench, net, threads))
    return rows


def _one_at_a_time(bench: Bench, net: Resnet18, threads: int) -> Row:
    count = bench.pick(200, 40)
    sides = [_ours(net, threads, count, 1, 1), *_onnx(net, threads, count, 1, 1)]
    results = bench.measure(f"runner, batch 1, threads: {threads}", sides)
    main = threads == bench.threads
    bar = Bar(
        f"runner-vs-onnxruntime-batch-1{'' if main else '-one-thread'}",
        f"integer runner, one sample a call, {threads} thread{'s' * (threads != 1)}",
        "onnxruntime, the same network as an int8 QDQ model with equal outputs, same threads",
        1.2 if main else None,
    )
    return _against_onnx(bar, results)


def _against_onnx(bar: Bar, results: dict[str, Result]) -> Row:
    row = compare(bar, results[OURS], [results[EQUAL]], same_scores)
    usual = results[USUAL]
    if not usual.failed:  # a time without a ratio: its outputs differ by design
        row.others[f"{USUAL} (other outputs)"] = usual.median
    return row


def _ours(net: Resnet18, threads: int, count: int, batch: int, passes: int) -> Side:
    arguments = {"count": count, "batch": batch, "passes": passes}
    return Side(
        OURS,
        "benchmarks.sides.runner:run",
        {"spec": net.spec, "samples": net.samples, **arguments},
        threads,
    )


def _onnx(net: Resnet18, threads: int, count: int, batch: int, passes: int) -> list[Side]:
    names = {"clip": EQUAL, "none": USUAL}
    return [
        Side(
            name,
            "benchmarks.sides.onnx_run:run",
            {
                "spec": net.spec,
                "samples": net.samples,
                "count": count,
                "batch": batch,
                "passes": passes,
                "limit": kind,
            },
            threads,
            "onnx",
        )
        for kind, name in names.items()
    ]
