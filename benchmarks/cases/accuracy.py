"""Minutes from nothing to an accuracy on CIFAR-10, against the same network of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.errors import SideError
from benchmarks.measure import Result, Side
from benchmarks.rows import Bar, Row, compare, not_measured

NAME = "accuracy"
LEVELS = (70, 75, 80, 85, 90)  # %
EPOCHS = 4
OURS = "ours, exported integers"
OTHERS = {
    "relu": "ReLU network in torch, channels_last",
    "spikingjelly": "SpikingJelly 2.0 ILIFNode, T = 1, channels_last",
}
HOURS = 4 * 3600.0


def run(bench: Bench) -> list[Row]:
    """A row for each accuracy and other side; one thread, bfloat16, one environment for all."""
    if not bench.data:
        raise SideError("it needs CIFAR-10; name the folder of its images with --data")
    folder = str(Path(bench.data).resolve())
    images = bench.prepare("cifar10.npz", "benchmarks.sides.race:decode", {"data": folder})
    epochs = bench.pick(EPOCHS, 1)
    results: dict[str, Result] = {}
    for kind, name in {"ours": OURS, **OTHERS}.items():
        arguments = {"kind": kind, "data": str(images), "epochs": epochs, "seed": 0, "amp": True}
        target = "benchmarks.sides.race:run"
        side = Side(name, target, arguments, 1, "spikingjelly", HOURS)
        # each in a measurement of its own: kept where the next one is stopped
        results |= bench.measure(f"accuracy, {kind}", [side], 1)
    bench.extras["accuracy"] = {
        name: result.rounds[0]["reached"] for name, result in results.items() if not result.failed
    }
    return [
        _row(level, kind, results[OURS], results[name], epochs)
        for level in LEVELS
        for kind, name in OTHERS.items()
    ]


def _row(level: int, kind: str, ours: Result, theirs: Result, epochs: int) -> Row:
    bar = Bar(
        f"accuracy-{level}-vs-{kind}",
        f"training of sparse-resnet-fast on CIFAR-10 up to {level} % on images held out",
        f"{OTHERS[kind]}, the same layers and recipe ({epochs} epochs)",
        None,
        "at_least",
        "training",
    )
    if ours.failed or theirs.failed:
        return compare(bar, ours, [theirs], check=_unlike)
    times = [_seconds(side.rounds[0]["reached"], level / 100) for side in (ours, theirs)]
    if times[0] is None or times[1] is None:
        best = ", ".join(f"{s.side.name} {100 * _best(s):.1f} %" for s in (ours, theirs))
        return not_measured(bar, f"not reached by both (best: {best})")
    at = [Result(s.side, [{"seconds": [t]}]) for s, t in zip((ours, theirs), times, strict=True)]
    return compare(bar, at[0], at[1:], check=_unlike)


def _unlike(_ours: Result, _theirs: Result) -> str:
    """Networks of their own: their outputs are not compared."""
    return ""


def _seconds(steps: list[dict[str, Any]], level: float) -> float | None:
    return next((step["seconds"] for step in steps if step["accuracy"] >= level), None)


def _best(side: Result) -> float:
    return float(max(step["accuracy"] for step in side.rounds[0]["reached"]))
