"""The integer runner against torch fp32, onnxruntime and OpenVINO: many samples, and one a call."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.bench import Bench
from benchmarks.cases.common import Resnet18, resnet18, same_scores, torch_sides
from benchmarks.measure import Result, Side
from benchmarks.rows import Bar, Row, compare, single

NAME = "runner"
OURS = "integer runner"
LEAF = "the Lava leaf's engine"
OPENVINO = "OpenVINO, equal outputs"
EQUAL = "onnxruntime, equal outputs"
USUAL = "onnxruntime, usual QDQ"


ENGINES = {
    "onnxruntime": "onnxruntime, the same network as an int8 QDQ model with equal outputs, "
    "same threads",
    "openvino": "OpenVINO, the same int8 QDQ model with equal outputs, same threads",
}


def run(bench: Bench) -> list[Row]:
    """Rows of 1,000 samples at batch 64, and of batch 1 with all and with one thread."""
    net = resnet18(bench)
    count, passes = bench.pick(1000, 128), bench.pick(3, 1)
    sides = [
        _ours(net, bench.threads, count, 64, passes),
        *torch_sides(net, bench.threads, count, 64, passes),
        *_engines(net, bench.threads, count, 64, passes),
    ]
    many = bench.measure("runner", sides)
    torch = [r for name, r in many.items() if name.startswith("torch")]
    work = f"integer runner, {count:,} CIFAR-size samples through Sparse-ResNet-18, batch 64"
    against = "torch fp32 eval of the same network, same batch, same threads"
    rows = [
        compare(Bar("runner-vs-torch-fp32", work, against, 0.4), many[OURS], torch, same_scores)
    ]
    for name, words in ENGINES.items():
        rows.append(_against(Bar(f"runner-vs-{name}", work, words, 0.9), name, many))
    for threads in sorted({bench.threads, 1}, reverse=True):
        rows += _one_at_a_time(bench, net, threads)
    return rows


def _one_at_a_time(bench: Bench, net: Resnet18, threads: int) -> list[Row]:
    count = bench.pick(200, 40)
    sides = [_ours(net, threads, count, 1, 1), *_engines(net, threads, count, 1, 1)]
    main = threads == bench.threads
    if not main or bench.threads == 1:
        arguments = {"spec": net.spec, "samples": net.samples, "count": count}
        sides.append(Side(LEAF, "benchmarks.sides.runner:leaf", arguments, threads))
    results = bench.measure(f"runner, batch 1, threads: {threads}", sides)
    ends = "" if main else "-one-thread"
    plural = "s" * (threads != 1)
    work = f"integer runner, one sample a call, {threads} thread{plural}"
    rows = []
    for name, words in ENGINES.items():
        bar = Bar(f"runner-vs-{name}-batch-1{ends}", work, words, 1.0 if main else None)
        rows.append(_against(bar, name, results))
    for name, words, key in ((OURS, work, f"runner{ends}"), (LEAF, f"{LEAF}, a timestep", "leaf")):
        if name in results:
            others = [r for n, r in results.items() if name == OURS and n in (EQUAL, OPENVINO)]
            rows += [
                _percentile(f"latency-{key}", words, q, results[name], others) for q in (50, 99)
            ]
    return rows


def _percentile(name: str, work: str, q: int, ours: Result, others: list[Result]) -> Row:
    """A row for information: so many of a hundred calls take no longer."""
    bar = Bar(f"{name}-p{q}", f"{work}: p{q}", "-", None, per="call")
    row = single(bar, ours)
    if not ours.failed:
        row.ours_s = float(np.percentile(ours.seconds, q))
        row.ours_quartiles = None
        row.others = {
            f"{r.side.name}, p{q}": float(np.percentile(r.seconds, q))
            for r in others
            if not r.failed
        }
    return row


def _against(bar: Bar, engine: str, results: dict[str, Result]) -> Row:
    if engine == "openvino":
        return compare(bar, results[OURS], [results[OPENVINO]], same_scores)
    row = compare(bar, results[OURS], [results[EQUAL]], same_scores)
    usual = results[USUAL]
    if not usual.failed:  # a time without a ratio: its outputs differ by design
        row.others[f"{USUAL} (other outputs)"] = usual.median
    return row


def _ours(net: Resnet18, threads: int, count: int, batch: int, passes: int) -> Side:
    return Side(OURS, "benchmarks.sides.runner:run", _arguments(net, count, batch, passes), threads)


def _arguments(net: Resnet18, count: int, batch: int, passes: int) -> dict[str, Any]:
    sizes = {"count": count, "batch": batch, "passes": passes}
    return {"spec": net.spec, "samples": net.samples, **sizes}


def _engines(net: Resnet18, threads: int, count: int, batch: int, passes: int) -> list[Side]:
    arguments = _arguments(net, count, batch, passes)
    kinds = {"clip": EQUAL, "none": USUAL}
    target = "benchmarks.sides.onnx_run:run"
    onnx = [
        Side(name, target, {**arguments, "limit": kind}, threads, "onnx")
        for kind, name in kinds.items()
    ]
    target = "benchmarks.sides.openvino_run:run"
    return [*onnx, Side(OPENVINO, target, arguments, threads, "openvino")]
