"""One convolution block in training against lava-dl and SpikingJelly; one epoch at T = 1 and 4."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench
from benchmarks.measure import Result, Side
from benchmarks.rows import Bar, Row, compare
from benchmarks.same import different_work

NAME = "training"
BLOCK = "forward+backward of a conv block, batch 32, 32->32, 16x16"
OURS, PLAIN, NORM = "ours", "ours, plain contiguous input", "ours with BatchNorm"
FLOOR = "torch conv2d alone (the floor)"
JELLY = "SpikingJelly"
# T, N, SpikingJelly's neuron, and the goals against sigma-delta, CUBA and SpikingJelly
SETTINGS = ((1, 4, "ILIFNode", 10.0, 4.0, 1.5), (4, 1, "IFNode", 4.0, 4.0, 1.5))


def same_work(ours: Result, theirs: Result) -> str:
    """What differs in the work of the two blocks."""
    return different_work(ours.rounds[-1]["facts"], theirs.rounds[-1]["facts"])


def run(bench: Bench) -> list[Row]:
    """Rows of both settings, without BatchNorm (the bars) and with it (information)."""
    rows: list[Row] = []
    for timesteps, levels, node, sigma_delta, cuba, jelly in SETTINGS:
        results = bench.measure(
            f"block, T = {timesteps}, N = {levels}", _sides(bench, timesteps, levels, node)
        )
        work = f"{BLOCK}, T = {timesteps}, N = {levels}"
        tag = f"block-T{timesteps}-N{levels}"

        def row(name: str, goal: float | None, ours: str, theirs: list[str], words: str) -> Row:
            bar = Bar(f"{tag}-vs-{name}", work, words, goal, "at_least", "pass")  # noqa: B023
            found = [r for key, r in results.items() if key in theirs]  # noqa: B023
            return compare(bar, results[ours], found, same_work)  # noqa: B023

        found = [
            row(
                "lava-dl-sigma-delta",
                sigma_delta,
                OURS,
                ["sigma_delta"],
                "lava-dl sigma_delta.Conv",
            ),
            row("lava-dl-cuba", cuba, OURS, ["cuba"], "lava-dl cuba.Conv"),
            row(
                "spikingjelly",
                jelly,
                OURS,
                _jelly(False),
                f"SpikingJelly 2.0 {node}, its faster layout",
            ),
            row(
                "spikingjelly-batchnorm",
                None,
                NORM,
                _jelly(True),
                f"SpikingJelly 2.0 {node} with BatchNorm",
            ),
        ]
        for name in (PLAIN, NORM, FLOOR):
            if not results[name].failed:
                found[0].others[name] = results[name].median
        rows += found
    return [*rows, *_epochs(bench)]


def _jelly(norm: bool) -> list[str]:
    return [f"{JELLY}, {layout}{', BatchNorm' * norm}" for layout in ("NCHW", "channels_last")]


def _sides(bench: Bench, timesteps: int, levels: int, node: str) -> list[Side]:
    repeats = {"repeats": bench.pick(40, 6)}
    sides = []
    for name, norm, own in ((OURS, False, True), (PLAIN, False, False), (NORM, True, True)):
        arguments: dict[str, Any] = {"timesteps": timesteps, "levels": levels, "norm": norm}
        arguments |= {"own_layout": own, **repeats}
        sides.append(Side(name, "benchmarks.sides.block_ours:run", arguments, bench.threads))
    arguments = {"timesteps": timesteps, **repeats}
    sides.append(Side(FLOOR, "benchmarks.sides.block_ours:floor", arguments, bench.threads))
    for kind in ("sigma_delta", "cuba"):
        arguments = {"kind": kind, "timesteps": timesteps, **repeats}
        sides.append(Side(kind, "benchmarks.sides.block_lava_dl:run", arguments, bench.threads))
    for norm in (False, True):
        for name, last in zip(_jelly(norm), (False, True), strict=True):
            arguments = {"kind": node, "timesteps": timesteps, "norm": norm}
            arguments |= {"channels_last": last, **repeats}
            sides.append(
                Side(
                    name,
                    "benchmarks.sides.block_spikingjelly:run",
                    arguments,
                    bench.threads,
                    "spikingjelly",
                )
            )
    return sides


def same_network(ours: Result, theirs: Result) -> str:
    """Both epochs must have trained as many weights on as many samples."""
    a, b = ours.rounds[-1]["facts"], theirs.rounds[-1]["facts"]
    return "" if a == b else f"the epochs differ: {a} and {b}"


def _epochs(bench: Bench) -> list[Row]:
    """T = 1, N = 4 against T = 4, N = 1: as many levels, a quarter of the timesteps."""
    rows = []
    cases = (
        ("epoch-T1-N4-vs-T4-N1", "sparse-resnet-20", [3, 32, 32], bench.pick(640, 64), 3.0),
        ("epoch-digits-T1-N4-vs-T4-N1", "sparse-resnet-small", [1, 8, 8], 1347, None),
    )
    for name, arch, shape, samples, goal in cases:
        if goal is None and bench.quick:
            continue
        sides = [
            Side(
                f"T = {timesteps}, N = {levels}",
                "benchmarks.sides.train_ours:epoch",
                {
                    "arch": arch,
                    "shape": shape,
                    "samples": samples,
                    "timesteps": timesteps,
                    "levels": levels,
                },
                bench.threads,
            )
            for timesteps, levels in ((1, 4), (4, 1))
        ]
        results = bench.measure(name, sides)
        size = "x".join(map(str, shape))
        bar = Bar(
            name,
            f"one training epoch of {arch}, {samples:,} samples of {size}, batch 64, T = 1, N = 4",
            "the same network and samples at T = 4, N = 1",
            goal,
            "at_least",
            "epoch",
        )
        fast, slow = results.values()
        rows.append(compare(bar, fast, [slow], same_network))
    return rows
