"""The parity check: training model, integer runner and Lava, layer by layer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_mlsnn.backends import backend_of, traces_of
from lava_mlsnn.data.dataset import as_labels, check_labels
from lava_mlsnn.data.samples import draw_samples
from lava_mlsnn.errors import ConfigError, DataError
from lava_mlsnn.parity.report import ParityReport, compare
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export.spec import NetworkSpec
from netx_export.spec.encode import as_array, check_payload
from netx_export.spec.timing import depths

if TYPE_CHECKING:
    import torch


__all__ = ["check_parity", "training_trace"]

BATCH = 32  # samples traced at a time: bounds memory for long checks


def check_parity(
    spec: NetworkSpec,
    data: np.ndarray,
    *,
    model: torch.nn.Module | None = None,
    lava_samples: int = 0,
    backends: Sequence[str] = (),
    labels: Any = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> ParityReport:
    """Compare every integer of every layer and timestep.

    Parameters
    ----------
    spec : NetworkSpec
        The exported network.
    data : ndarray, (N, C, H, W) or (N, F), or with a last axis T
        Real samples; each side encodes them itself.
    model : Module, optional
        The training model that was exported: for all samples every layer of its eval
        forward is compared, and ``model(x)`` itself, in integers of the last layer (as
        far as float32 scores hold them).
    lava_samples : int
        How many of the samples, drawn by a seed, also run in Lava, twice: with one
        Process per synapse and population, whose arithmetic shares nothing with the
        runner's 8-bit neurons, and in the leaf model (0: none; needs Lava).
    backends : sequence of str
        Rows of :data:`lava_mlsnn.backends.BACKENDS` that also run all samples.
    labels : array of int, (N,), optional
        Classes of the samples: those for Lava are then drawn over all of them.
    progress : callable, optional
        ``progress(side, done, total)``.

    Returns
    -------
    ParityReport
        Its ``count`` is 0 if all agree.

    Raises
    ------
    ConfigError
        If there is nothing to compare with.
    ParityError
        If the model has other layers than the file.
    """
    data = as_array(data)
    if data.size == 0:
        raise DataError("a parity check needs at least one sample, got none")
    report = ParityReport()
    runner = IntegerRunner(spec, on_overflow="wrap")
    x = encode(spec, data)
    if model is None and not lava_samples and not backends:
        raise ConfigError(
            "a parity check needs a side to compare the runner with: give model, lava_samples or "
            "backends"
        )
    compared: set[str] = set()
    found: dict[tuple[str, str], Any] = {}

    def note(
        side: str, traced: dict[str, np.ndarray], other: dict[str, np.ndarray], places: Any
    ) -> None:
        compared.update(other)
        for layer, values in other.items():
            report.compared += values.size
            difference = compare(layer, side, traced[layer], values)
            if difference is not None:
                difference = replace(difference, sample=int(places[difference.sample]))
                found.setdefault((layer, side), []).append(difference)

    if model is not None:
        from lava_mlsnn.activity.hook import model_batches
        from lava_mlsnn.export import walk

        walk(model, spec.timesteps)  # channels of extreme gain take the scale of an export
        report.samples["training"] = len(data)
        batches = model_batches(model, spec, data, BATCH)
        for start, (other, scores) in zip(range(0, len(data), BATCH), batches, strict=True):
            traced = _runner_trace(runner, x[start : start + BATCH])
            places = range(len(data))[start : start + BATCH]
            note("training", traced, other, places)
            last = spec.output.name
            ours, returned = _results(traced[last], scores)
            note("model(x)", {last: ours}, {last: returned}, places)
            if progress is not None:
                progress("training", min(start + BATCH, len(data)), len(data))
    sides: list[tuple[str, str, np.ndarray, dict[str, Any]]] = [
        (name, name, np.arange(len(data)), _wrapping(name)) for name in backends
    ]
    if lava_samples:
        labels = np.zeros(len(data), int) if labels is None else as_labels(labels)
        check_labels(len(data), labels, 1 << 62)
        chosen = np.sort(draw_samples(labels, lava_samples))
        sides += [
            ("lava", "lava", chosen, {"per_layer": True}),
            ("lava, one process", "lava", chosen, {}),
        ]
    for side, backend, those, options in sides:
        report.samples[side] = len(those)
        follow = None if progress is None else functools.partial(progress, side)
        done = 0
        for trace in traces_of(backend, spec, x[those], progress=follow, **options):
            part = those[done : done + len(trace.output)]
            layers = trace.layers or {spec.output.name: trace.output}
            note(side, _runner_trace(runner, x[part]), layers, part)
            done += len(part)
    report.layers = [layer.name for layer in spec.layers if layer.name in compared]
    report.differences = _merge(found, spec)
    return report


def _wrapping(name: str) -> dict[str, Any]:
    return {"on_overflow": "wrap"} if "on_overflow" in backend_of(name).options else {}


def _results(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integer results of runner and model, both with an axis T.

    What lies within the rounding of float32 counts as the runner's integer.
    """
    if theirs.ndim == ours.ndim - 1:
        ours, theirs = ours[..., -1:], theirs[..., None]
    if theirs.shape != ours.shape:
        return ours, theirs
    close = np.abs(theirs - ours) <= 0.25 + np.abs(ours) * 2.0**-22
    low = np.iinfo(np.int64).min // 2
    other = np.nan_to_num(theirs, nan=low).clip(low, -low)
    return ours, np.where(close, ours, np.rint(other).astype(np.int64))


def _runner_trace(runner: IntegerRunner, x: np.ndarray) -> dict[str, np.ndarray]:
    layers = dict(runner.trace(x).layers)
    layers[runner.spec.input.name] = check_payload(runner.spec, x)
    return layers


def _merge(found: dict[tuple[str, str], Any], spec: NetworkSpec) -> list[Any]:
    """One Difference per layer and side, the batches joined, input side first."""
    # a file may hold its layers in any order
    depth = depths(spec)
    place = {layer.name: (depth[i], i) for i, layer in enumerate(spec.layers)}
    merged = []
    for _, parts in sorted(found.items(), key=lambda item: place[item[0][0]]):
        first = parts[0]
        merged.append(
            replace(
                first,
                count=sum(d.count for d in parts),
                total=sum(d.total for d in parts),
                largest=max(d.largest for d in parts),
            )
        )
    return merged


def training_trace(
    model: torch.nn.Module, spec: NetworkSpec, data: np.ndarray
) -> dict[str, np.ndarray]:
    """Payloads of every layer in the training model's integer forward, (N, ..., T) int64."""
    from lava_mlsnn.activity.hook import training_batches

    return next(training_batches(model, spec, data, len(data)))
