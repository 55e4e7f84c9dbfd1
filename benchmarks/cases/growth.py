"""Large things: throughput over batch and threads, a deep network, many samples, energy."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.cases.common import Resnet18, resnet18, same_scores, torch_sides
from benchmarks.measure import Side
from benchmarks.rows import Bar, Row, compare, not_measured, single

NAME = "growth"
BATCHES = (1, 4, 16, 64, 256)
LARGE = [3, 64, 64]
MANY = 1_000_000


def run(bench: Bench) -> list[Row]:
    """Rows of what grows; the throughput is a table."""
    net = resnet18(bench)
    _throughput(bench, net)
    return [_deep(bench), _many(bench), _energy(bench, net)]


def _throughput(bench: Bench, net: Resnet18) -> None:
    found: dict[str, dict[str, float]] = {}
    for threads in sorted({1, bench.threads}):
        for batch in bench.pick(BATCHES, BATCHES[1:2]):
            arguments = {"spec": net.spec, "samples": net.samples, "batch": batch, "passes": 2}
            count = bench.pick(max(200, 2 * batch), 8)
            side = Side(
                f"batch {batch}",
                "benchmarks.sides.runner:run",
                {**arguments, "count": count},
                threads,
            )
            result = bench.measure(f"throughput, threads: {threads}", [side], 1)[side.name]
            if not result.failed:
                found.setdefault(str(batch), {})[str(threads)] = 1 / result.median
    bench.extras["throughput"] = found


def _deep(bench: Bench) -> Row:
    size = bench.pick(LARGE, [3, 16, 16])
    config = {"arch": "sparse-resnet-34", "input_shape": size, "classes": 10}
    spec = bench.prepare("sparse-resnet-34.net", "benchmarks.networks:resnet", config)
    arguments = {"count": bench.pick(64, 8), "shape": size, "levels": 127}
    samples = bench.prepare("large.npy", "benchmarks.networks:random_samples", arguments)
    net, count = Resnet18(str(spec), str(samples)), arguments["count"]
    work = {"spec": net.spec, "samples": net.samples, "count": count, "batch": 16, "passes": 2}
    sides = [
        Side("integer runner", "benchmarks.sides.runner:run", work, bench.threads),
        *torch_sides(net, bench.threads, count, 16, 2),
    ]
    ours, *theirs = bench.measure("Sparse-ResNet-34", sides, bench.pick(3, 1)).values()
    words = "x".join(map(str, size[1:]))
    bar = Bar(
        "growth-resnet-34",
        f"integer runner, Sparse-ResNet-34 on {words}, batch 16",
        "torch fp32 eval of the same network, same batch, same threads",
        0.4,
    )
    return compare(bar, ours, theirs, same_scores)


def _many(bench: Bench) -> Row:
    shape = [1, 8, 8]
    config = {"arch": "sparse-resnet-small", "input_shape": shape, "classes": 10}
    spec = bench.prepare("small.net", "benchmarks.networks:resnet", config)
    arguments = {"count": 10_000, "shape": shape, "levels": 127}
    samples = bench.prepare("many.npy", "benchmarks.networks:random_samples", arguments)
    many = bench.pick(MANY, 20_000)
    sides = [
        Side(
            f"{count:,} samples",
            "benchmarks.sides.runner:stream_memory",
            {"spec": str(spec), "samples": str(samples), "count": count},
            bench.threads,
        )
        for count in (many, 10_000)
    ]
    ours, few = bench.measure("many samples", sides, bench.pick(3, 1)).values()
    bar = Bar(
        "growth-samples-memory",
        f"peak memory of a process that runs {many:,} samples, one batch after the other",
        "the same over 10,000 samples",
        1.1,
        per="run",
        unit="B",
    )
    return compare(bar, ours, [few], lambda *_: "")


def _energy(bench: Bench, net: Resnet18) -> Row:
    """Joules, where the processor counts them: of the whole package, so on a quiet machine."""
    count = bench.pick(1000, 64)
    arguments = {"spec": net.spec, "samples": net.samples, "count": count, "batch": 64}
    side = Side("integer runner", "benchmarks.sides.energy:joules", arguments, bench.threads)
    result = bench.measure("energy", [side], bench.pick(3, 1))[side.name]
    bar = Bar(
        "energy-runner",
        f"energy of the integer runner, {count:,} samples through Sparse-ResNet-18, batch 64",
        "-",
        None,
        unit="J",
    )
    return not_measured(bar, result.failed) if result.failed else single(bar, result)
