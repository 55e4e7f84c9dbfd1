"""Sparse-ResNet-18 inside a Lava run, against stock Lava's convolutions and torch."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.cases.common import resnet18, same_scores, torch_sides
from benchmarks.measure import Result, Side
from benchmarks.rows import Bar, Row, compare
from benchmarks.same import different_arrays

NAME = "lava"
LEAF, LAYERS, STOCK = "Lava, one Process", "Lava, a Process a layer", "stock Lava Conv"


def same_layers(ours: Result, theirs: Result) -> str:
    """What differs between the payloads of every layer, and the scores, of one sample."""
    a = {k: v for k, v in ours.arrays.items() if k.startswith("layer.")}
    b = {k: v for k, v in theirs.arrays.items() if k.startswith("layer.")}
    return different_arrays(a, b) or same_scores(ours, theirs)


def run(bench: Bench) -> list[Row]:
    """One timestep, streaming: set-up excluded, filling and emptying included."""
    net = resnet18(bench)
    paths = {"spec": net.spec, "samples": net.samples}

    def ours(name: str, count: int, passes: int, per_layer: bool) -> Side:
        arguments = {**paths, "count": count, "passes": passes, "per_layer": per_layer}
        return Side(name, "benchmarks.sides.lava_run:run", arguments, 1)

    results = bench.measure(
        NAME,
        [
            ours(LEAF, bench.pick(500, 20), bench.pick(2, 1), False),
            ours(LAYERS, bench.pick(200, 20), 1, True),
            *torch_sides(net, 1, bench.pick(200, 20), 1, 1),
            Side(STOCK, "benchmarks.sides.stock_lava:network", paths, 1),
        ],
        bench.pick(0, 1),
    )
    torch = [r for name, r in results.items() if name.startswith("torch")]
    work = "one timestep of Sparse-ResNet-18 (CIFAR shapes, T = 1) inside a Lava run, streaming"
    stock = "the same network's convolutions on stock Lava Conv (its model alone, no processes)"
    per = "timestep"
    rows = [
        compare(
            Bar("lava-vs-stock-conv", work, stock, 500.0, "at_least", per),
            results[LEAF],
            [results[STOCK]],
            same_layers,
        ),
        compare(
            Bar(
                "lava-vs-torch-fp32",
                f"{work}, per sample, set-up excluded",
                "torch fp32 forward of the same network, batch 1, one thread",
                1.0,
            ),
            results[LEAF],
            torch,
            same_scores,
        ),
        compare(
            Bar(
                "lava-per-layer-vs-stock-conv",
                f"{work}, one Process per layer",
                stock,
                100.0,
                "at_least",
                per,
            ),
            results[LAYERS],
            [results[STOCK]],
            same_layers,
        ),
    ]
    _note_processes(bench, paths, results[STOCK])
    return rows


def _note_processes(bench: Bench, paths: dict[str, str], stock: Result) -> None:
    """Show what a real stock run of one convolution adds to its model."""
    steps = bench.pick(10, 4)
    side = Side(
        "one stock Conv in a Lava run",
        "benchmarks.sides.stock_lava:one_conv_in_lava",
        {**paths, "steps": steps},
        1,
    )
    found = bench.measure("lava, one stock Conv", [side], 1)[side.name]
    if not found.failed:
        extra = {key: found.rounds[0][key] for key in ("alone", "layer", "equal")}
        bench.extras["stock_conv_in_lava"] = {"seconds_a_step": found.median, **extra}
    if not stock.failed:
        bench.extras["stock_conv_layers"] = stock.rounds[0]["parts"]
