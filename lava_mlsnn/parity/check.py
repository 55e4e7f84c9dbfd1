"""The parity check: training model, integer runner and Lava, layer by layer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_mlsnn.errors import DataError, ParityError
from lava_mlsnn.parity.report import ParityReport, compare
from lava_mlsnn.runner import IntegerRunner, encode

if TYPE_CHECKING:
    import torch

    from netx_export.spec import NetworkSpec

__all__ = ["check_parity", "training_trace"]

BATCH = 32  # samples traced at a time: bounds memory for long checks


def check_parity(
    spec: NetworkSpec,
    data: np.ndarray,
    *,
    model: torch.nn.Module | None = None,
    lava_samples: int = 0,
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
        The training model that was exported: its eval forward is compared for all
        samples.
    lava_samples : int
        How many of the samples also run in Lava, twice: with one Process per synapse
        and population, whose arithmetic shares nothing with the runner's 8-bit
        neurons, and in the leaf model (0: none; needs Lava).
    progress : callable, optional
        ``progress(side, done, total)``.

    Returns
    -------
    ParityReport
        Its ``count`` is 0 if all agree.

    Raises
    ------
    ParityError
        If the model has other layers than the file.
    """
    if len(np.atleast_1d(np.asarray(data))) == 0:
        raise DataError("a parity check needs at least one sample, got none")
    report = ParityReport()
    runner = IntegerRunner(spec, on_overflow="wrap")
    x = encode(spec, data)
    report.layers = [spec.input.name, *(p.name for _, p in spec.populations)]
    found: dict[tuple[str, str], Any] = {}

    def note(
        side: str, traced: dict[str, np.ndarray], other: dict[str, np.ndarray], at: int
    ) -> None:
        for layer, values in other.items():
            report.compared += values.size
            difference = compare(layer, side, traced[layer], values)
            if difference is not None:
                found.setdefault((layer, side), []).append((at, difference))

    if model is not None:
        report.samples["training"] = len(data)
        for start in range(0, len(data), BATCH):
            part = slice(start, start + BATCH)
            other = training_trace(model, spec, data[part])
            traced = _runner_trace(runner, x[part])
            note("training", traced, other, start)
            if progress is not None:
                progress("training", min(start + BATCH, len(data)), len(data))
    if lava_samples:
        from netx_export.run import run_lava

        n = min(lava_samples, len(data))
        traced = _runner_trace(runner, x[:n])
        for side, per_layer in (("lava", True), ("lava leaf", False)):
            report.samples[side] = n
            follow = None if progress is None else functools.partial(progress, side)
            result = run_lava(spec, x[:n], per_layer=per_layer, probes=True, progress=follow)
            note(side, traced, {k: v for k, v in result.layers.items() if k in traced}, 0)
    report.differences = _merge(found, spec)
    return report


def _runner_trace(runner: IntegerRunner, x: np.ndarray) -> dict[str, np.ndarray]:
    from lava_mlsnn.runner.encode import check_payload

    layers = dict(runner.trace(x).layers)
    layers[runner.spec.input.name] = check_payload(runner.spec, x)
    return layers


def _merge(found: dict[tuple[str, str], Any], spec: NetworkSpec) -> list[Any]:
    """One Difference per layer and side, the batches joined, input side first."""
    from dataclasses import replace

    from netx_export.graph import depths

    # a file may hold its layers in any order
    depth = depths(spec)
    place = {layer.name: (depth[i], i) for i, layer in enumerate(spec.layers)}
    merged = []
    for _, parts in sorted(found.items(), key=lambda item: place[item[0][0]]):
        start, first = parts[0]
        merged.append(
            replace(
                first,
                sample=first.sample + start,
                count=sum(d.count for _, d in parts),
                total=sum(d.total for _, d in parts),
                largest=max(d.largest for _, d in parts),
            )
        )
    return merged


def training_trace(
    model: torch.nn.Module, spec: NetworkSpec, data: np.ndarray
) -> dict[str, np.ndarray]:
    """Payloads of every layer in the training model's integer forward, (N, ..., T) int64."""
    import torch

    from lava_mlsnn.slayer import precision
    from lava_mlsnn.slayer.block import Input
    from netx_export.handlers import blocks_of, walk

    modules: dict[str, torch.nn.Module] = dict(walk(model).populations)
    names = {p.name for _, p in spec.populations}
    if set(modules) != names:
        other = sorted(set(modules) ^ names)
        raise ParityError(
            f"model and file must have the same layers, these are in one only: {other}"
        )
    blocks = blocks_of(model)
    for name, block in blocks.named_children():
        if isinstance(block, Input):
            modules[name] = block
    layers: dict[str, np.ndarray] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            values = output[0] if isinstance(output, tuple) else output
            whole = values.detach().double().cpu().numpy()
            layers[name] = np.rint(whole).astype(np.int64)
            if not np.array_equal(layers[name], whole):
                raise ParityError("the training model sends values that are not integers", name)

        return hook

    handles = [m.register_forward_hook(keep(name)) for name, m in modules.items()]
    was_training = model.training
    model.eval()
    try:
        x = torch.from_numpy(np.asarray(data, np.float64))  # rounds as encode() does
        if x.dim() == len(spec.input.shape) + 1:
            x = x.unsqueeze(-1).expand(*x.shape, spec.timesteps)
        device = next((p.device for p in model.parameters()), None)
        with torch.no_grad(), precision(model, "integer"):
            y: Any = x.to(device)
            for block in blocks.children():
                y = block(y)
                y = y[0] if isinstance(y, tuple) else y
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    return layers
