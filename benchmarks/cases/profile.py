"""Where the time goes; no rows, only tables for ``profile.md``."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.cases.common import resnet18
from benchmarks.measure import Side
from benchmarks.rows import Row

NAME = "profile"


def run(bench: Bench) -> list[Row]:
    """Profile the runner (batch 64 and 1), a Lava timestep, and the training block."""
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
    tables = {}
    for name, result in bench.measure(NAME, sides, 1).items():
        if result.failed:
            tables[name] = {"failed": result.failed}
            continue
        kept = ("seconds", "layers", "functions")
        tables[name] = {key: result.rounds[0][key] for key in kept if key in result.rounds[0]}
    bench.extras["profile"] = tables
    return []
