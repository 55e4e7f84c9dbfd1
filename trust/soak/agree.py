"""Drawn networks through every side: all integers of all layers and timesteps are the same."""

from __future__ import annotations

import importlib.util
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lava_mlsnn import check_parity
from lava_mlsnn.engine import StreamEngine
from lava_mlsnn.errors import RangeError, UnsupportedLayerError
from lava_mlsnn.export import to_spec
from lava_mlsnn.lava.run import run_lava
from lava_mlsnn.onnx_run import run_onnx
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export import lava_available, read, write
from netx_export.spec import NetworkSpec
from netx_export.spec.timing import depths, latency
from trust.networks import Seeded, assert_same, payloads, seeded
from trust.settings import SETTINGS
from trust.soak.models import DrawnModel, samples

__all__ = ["agree"]

Layers = dict[str, np.ndarray]
ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
SAMPLES = 3


def _same(side: str, found: Layers, wanted: Layers, counts: dict[str, int]) -> None:
    for name, values in wanted.items():
        if not np.array_equal(found[name], values):
            raise AssertionError(f"{side} differs in {name}")
    counts[side] = counts.get(side, 0) + 1
    counts["integers"] = counts.get("integers", 0) + sum(v.size for v in wanted.values())


def _streamed(spec: NetworkSpec, x: np.ndarray) -> Layers:
    """Timestep by timestep, each layer at its depth, as the leaf model computes."""
    timed = np.repeat(x, spec.timesteps, axis=0)
    engine, depth = StreamEngine(spec), depths(spec)
    sent: dict[int, list[np.ndarray]] = {index: [] for index, _ in spec.populations}
    for step in range(len(timed) + latency(spec)):
        engine.advance()
        for index, found in sent.items():
            found.append(engine.sent(index).copy())
        engine.receive(timed[step] if step < len(timed) else np.zeros_like(timed[0]))
    layers = {}
    for index, layer in spec.populations:
        part = np.stack(sent[index][depth[index] : depth[index] + len(timed)])
        shaped = part.reshape(len(x), spec.timesteps, *layer.shape)
        layers[layer.name] = np.moveaxis(shaped, 1, -1)
    return layers


def _sides(spec: NetworkSpec, x: np.ndarray, seed: int, in_lava: bool, counts: Any) -> None:
    choose = Seeded(seed)
    wanted = IntegerRunner(spec, kind="reference", threads=1).trace(x).layers
    for kind in ("general", "auto"):
        options = {"kind": kind, "threads": choose.of((1, 1, 2))}
        size, setting = choose.of((1, 2, 64)), choose.of(sorted(SETTINGS))
        with SETTINGS[setting]():
            found = IntegerRunner(spec, **options).trace(x, batch_size=size).layers
        _same("runner", found, wanted, counts)
    _same("stream engine", _streamed(spec, x), wanted, counts)
    if ONNX:
        try:
            (trace,) = run_onnx(spec, x, threads=1)
        except (RangeError, UnsupportedLayerError):  # float32 does not hold its sums
            counts["refused by ONNX"] = counts.get("refused by ONNX", 0) + 1
        else:
            _same("onnxruntime", trace.layers, wanted, counts)
    if in_lava:
        for per_layer in (False, True):
            lava = run_lava(spec, x, per_layer=per_layer, probes=True, timeout=600)
            _same("Lava per layer" if per_layer else "Lava leaf", lava.layers, wanted, counts)


def _written(spec: NetworkSpec, folder: Path, counts: dict[str, int]) -> None:
    first = write(spec, folder / "a.net")
    again = read(first)
    assert_same(again, spec)
    if write(again, folder / "b.net").read_bytes() != first.read_bytes():
        raise AssertionError("written again the file has other bytes")
    counts["file round trip"] = counts.get("file round trip", 0) + 1


def _model(seed: int, counts: dict[str, int]) -> tuple[NetworkSpec, np.ndarray] | None:
    """A drawn model against its export; None where the export refuses it for its range."""
    with torch.random.fork_rng():
        model = DrawnModel(seed)
    x = samples(model, SAMPLES, seed)
    try:
        spec = to_spec(model)
    except RangeError:
        counts["refused for their range"] = counts.get("refused for their range", 0) + 1
        return None
    report = check_parity(spec, x, model=model)
    if report.count:
        raise AssertionError(f"the training forward differs: {report}")
    counts["training forward"] = counts.get("training forward", 0) + 1
    counts["integers"] = counts.get("integers", 0) + report.compared
    return spec, encode(spec, x)


def agree(
    seconds: float, count: int, seed: int, folder: Path, say: Callable[[str], None],
    lava_every: int = 50,
) -> dict[str, Any]:  # fmt: skip
    """Compare up to ``count`` drawn networks; every third begins as a training model.

    Every ``lava_every``-th also runs in Lava, in both models, where Lava is installed.
    """
    torch.set_num_threads(1)
    counts: dict[str, int] = {}
    kinds: set[str] = set()
    findings: list[str] = []
    done, deepest, end = 0, 0, time.monotonic() + seconds
    for number in range(seed, seed + count):
        if time.monotonic() > end:
            break
        try:
            made = _model(number, counts) if number % 3 == 0 else None
            if made is None:
                spec = seeded(number, joins=True)
                made = spec, payloads(spec, SAMPLES, number)
            spec, x = made
            _sides(spec, x, number, lava_available() and number % lava_every == 0, counts)
            _written(spec, folder, counts)
        except Exception:
            findings.append(f"network {number}: {traceback.format_exc()[-2000:]}")
            say(findings[-1])
        else:
            deepest = max(deepest, len(spec.populations))
            for _, layer in spec.populations:
                kinds |= {type(layer.neuron).__name__, *(type(s).__name__ for s in layer.synapses)}
        done += 1
        if done % 200 == 0:
            say(f"{done} networks, {counts.get('integers', 0)} integers, {len(findings)} findings")
    return {
        "networks": done,
        "integers compared": counts.pop("integers", 0),
        "most populations": deepest,
        "kinds": sorted(kinds),
        "compared with plain 64-bit integers": counts,
        "findings": findings,
    }
