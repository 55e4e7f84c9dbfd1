"""Where the time goes; no rows, only tables for ``profile.md``."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.cases.common import resnet18
from benchmarks.cases.step import NETWORKS
from benchmarks.measure import Side
from benchmarks.rows import Row

NAME = "profile"


def run(bench: Bench) -> list[Row]:
    """Profile the runner (batch 64 and 1), a Lava timestep, the training block, and steps."""
    net = resnet18(bench)
    paths = {"spec": net.spec, "samples": net.samples}
    many, few = bench.pick(512, 64), bench.pick(100, 10)

    def side(name: str, function: str, threads: int, **arguments: object) -> Side:
        return Side(name, f"benchmarks.sides.profiles:{function}", arguments, threads)

    sides = [
        side("integer runner, batch 64", "runner", bench.threads, **paths, count=many, batch=64),
        side("integer runner, batch 1", "runner", bench.threads, **paths, count=few, batch=1),
        side("a Lava timestep", "lava", 1, **paths, count=few),
        *(
            side(
                f"training block, T = {t}, N = {n}",
                "block",
                bench.threads,
                timesteps=t,
                levels=n,
                repeats=bench.pick(50, 5),
            )
            for t, n in ((1, 4), (4, 1))
        ),
    ]
    for arch, width, _ in NETWORKS:
        for kind, words in (("ours", "ours"), ("relu", "the same network with ReLU in torch")):
            name = f"training step of {arch}, bfloat16, {words}"
            arguments = {"kind": kind, "arch": arch, "width": width, "amp": True}
            sizes = {"batch": bench.pick(128, 4), "repeats": bench.pick(8, 2)}
            sides.append(side(name, "step", bench.threads, **arguments, **sizes))
    tables = {}
    for name, result in bench.measure(NAME, sides, 1).items():
        if result.failed:
            tables[name] = {"failed": result.failed}
            continue
        kept = ("seconds", "layers", "functions")
        tables[name] = {key: result.rounds[0][key] for key in kept if key in result.rounds[0]}
    bench.extras["profile"] = tables
    return []
