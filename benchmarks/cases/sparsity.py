"""At which density work left out beats the runner's dense 8-bit layer, and where networks are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import Bench
from benchmarks.measure import Side
from benchmarks.rows import Bar, Row, single

NAME = "sparsity"
LAYERS = ((32, 32), (64, 16), (128, 16), (256, 8))  # channels, size of the map
NETWORKS = ("cifar10-sparse-resnet-18", "cifar10-sparse-resnet-fast")
TRAINED = Path(__file__).resolve().parents[2] / "results" / "networks"
FORMS = {"events": "event by event", "groups": "by groups of four channels"}
DENSITIES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)


def crossover(x: list[float], dense: list[float], sparse: list[float]) -> float:
    """Largest density at which the other is as fast, in a log-log line between points; 0: none."""
    gap = np.log(sparse) - np.log(dense)
    below = np.flatnonzero(gap <= 0)
    if not len(below):
        return 0.0
    k = int(below[-1])
    if k == len(x) - 1:
        return x[k]
    part = -gap[k] / (gap[k + 1] - gap[k])
    return float(np.exp(np.log(x[k]) + part * (np.log(x[k + 1]) - np.log(x[k]))))


def run(bench: Bench) -> list[Row]:
    """Rows of drawn payloads and a plot; rows of trained networks' own payloads and a table."""
    return _drawn(bench) + _trained(bench)


def _drawn(bench: Bench) -> list[Row]:
    rows, curves = [], {}
    for channels, size in bench.pick(LAYERS, LAYERS[1:2]):
        name = f"{channels} channels, {size}x{size}"
        arguments = {
            "channels": channels,
            "size": size,
            "count": bench.pick(16, 2),
            "densities": list(bench.pick(DENSITIES, DENSITIES[::4])),
            "repeats": bench.pick(5, 2),
        }
        side = Side(name, "benchmarks.sides.sparsity:curve", arguments, 1)
        result = bench.measure(f"sparsity, {name}", [side], bench.pick(3, 1))[name]
        found = {
            key: np.median([r[key] for r in result.rounds], axis=0).tolist()
            for key in ("x", "dense", *FORMS)
            if not result.failed and result.rounds[0][key]
        }
        for form, words in FORMS.items():
            bar = Bar(
                f"crossover-{form}-{channels}-channels",
                f"density of payloads below which a 3x3 layer ({name}) is faster {words}",
                "the runner's dense 8-bit layer, one thread, batch 16",
                None,
                per="density of 1",
            )
            if result.failed:
                rows.append(single(bar, result))
            elif form in found:
                rows.append(single(bar, result, crossover(found["x"], found["dense"], found[form])))
        if found:
            curves[name] = found
    bench.extras["sparsity"] = curves
    return rows


def _trained(bench: Bench) -> list[Row]:
    rows: list[Row] = []
    tables: dict[str, list[dict[str, Any]]] = {}
    for network in bench.pick(NETWORKS, NETWORKS[:1]):
        arguments = {
            "network": str(TRAINED / f"{network}.net"),
            "count": bench.pick(32, 4),
            "repeats": bench.pick(9, 2),
        }
        side = Side(network, "benchmarks.sides.activity:layers", arguments, 1)
        result = bench.measure(f"activity, {network}", [side], bench.pick(3, 1))[network]
        bar = Bar(
            f"groups-{network}",
            f"all layers of {network} on photographs, each in the faster of both forms",
            "the same layers, all dense, one thread, batch 32",
            None,
        )
        if result.failed:
            rows.append(single(bar, result))
            continue
        table = _medians([r["layers"] for r in result.rounds])
        dense = sum(row["dense"] for row in table)
        best = sum(min(row["dense"], row["groups"] or row["dense"]) for row in table)
        rows.append(single(bar, result, best / dense))
        tables[network] = table
    bench.extras["activity"] = tables
    return rows


def _medians(rounds: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The layers with their median times over the rounds."""
    table = [dict(row) for row in rounds[0]]
    for k, row in enumerate(table):
        for key in ("dense", "groups"):
            if row[key] is not None:
                row[key] = float(np.median([layers[k][key] for layers in rounds]))
    return table
