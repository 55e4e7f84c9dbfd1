"""``mlsnn export``, ``run``, ``check`` and ``info``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from lava_mlsnn import __version__, parity
from lava_mlsnn.activity import Activity, ActivityMeter
from lava_mlsnn.backends import backend_of, traces_of
from lava_mlsnn.checks import lava_needs, meant, shown
from lava_mlsnn.cli.console import Console, Failed
from lava_mlsnn.cli.data import by_name, test_samples
from lava_mlsnn.errors import ConfigError, DataError
from lava_mlsnn.launcher import launched
from lava_mlsnn.parity import ParityReport
from lava_mlsnn.runner import encode
from netx_export import (
    export_nir,
    export_onnx,
    export_onnx_int8,
    export_qonnx,
    read,
    stock_reasons,
    worst_case,
)
from netx_export.file.atomic import not_over
from netx_export.spec import NetworkSpec

__all__ = [
    "run_check",
    "run_export",
    "run_network",
    "show_activity",
]

FORMATS = {
    "net": None,
    "onnx": export_onnx,
    "onnx-int8": export_onnx_int8,
    "qonnx": export_qonnx,
    "nir": export_nir,
}


def run_export(console: Console, source: Path, out: Path | None, to: str) -> None:
    """Checkpoint to file, or checkpoint or file to a format of others."""
    if to not in FORMATS:
        close = meant(to, FORMATS)
        raise ConfigError(f"--to must be one of {', '.join(FORMATS)}, got {shown(to)}{close}")
    from lava_mlsnn.training.checkpoint import checkpoint_of, load_checkpoint, load_model

    out, source = out or Path(f"network.{to}"), checkpoint_of(source)
    write = FORMATS[to]
    if write is None:
        _export_net(console, source, out)
        return
    import h5py

    from lava_mlsnn.export import to_spec

    if h5py.is_hdf5(source):
        spec = read(source)
    else:
        content = load_checkpoint(source)
        spec = to_spec(load_model(source), provenance=provenance(content))
    not_over(out, source)
    write(spec, out)
    _say_written(console, spec, out)
    console.result({"file": out, "bytes": out.stat().st_size})


def _say_written(console: Console, spec: NetworkSpec, out: Path) -> None:
    console.say(
        f"wrote {out}: {len(spec.populations)} layers of neurons, T = {spec.timesteps}, "
        f"{out.stat().st_size} bytes"
    )


def _export_net(console: Console, checkpoint: Path, out: Path) -> None:
    from lava_mlsnn.export import export_model, scale_losses
    from lava_mlsnn.training.checkpoint import load_checkpoint, load_model

    content = load_checkpoint(checkpoint)
    model = load_model(checkpoint)
    not_over(out, checkpoint)
    spec = export_model(model, out, provenance=provenance(content))
    losses = [str(loss) for loss in scale_losses(model)]
    reasons = stock_reasons(spec)
    _say_written(console, spec, out)
    console.result(
        {
            "file": out,
            "bytes": out.stat().st_size,
            "stock_reasons": reasons,
            "scale_losses": losses,
        }
    )


def provenance(content: dict[str, Any]) -> dict[str, Any]:
    """What a file says about where it comes from."""
    kept = ("config", "train_config", "dataset", "epoch", "start")
    return {"lava_mlsnn": __version__, **{k: content[k] for k in kept if k in content}}


def run_network(
    console: Console,
    file: Path,
    data: str | None,
    backend: str,
    samples: int,
    options: dict[str, Any],
) -> None:
    """Accuracy and activity of a file; of ``options`` those that the backend takes.

    Of several processes that a launcher started, each runs its share of the samples.
    """
    rank, count = launched()
    if rank:
        console.mute()
    row = backend_of(backend)
    options = {k: v for k, v in options.items() if k in row.options}
    spec = read(file)
    x, y = test_samples(console, spec, data, samples)
    if len(y) < count:
        raise ConfigError(f"{count} processes need at least {count} samples, got {len(y)}")
    payload = encode(spec, x[rank::count])
    meter = ActivityMeter(spec)
    start = time.perf_counter()
    with console.progress(f"running in {row.words}") as follow:
        traces = traces_of(backend, spec, payload, progress=follow, **options)
        parts = [trace.classes for trace in meter.follow(traces, payload)]
        classes = np.concatenate([np.zeros(0, np.int64), *parts])
    if count > 1:
        from lava_mlsnn.training.processes import gathered

        shares = gathered((classes, meter.counts))
        if shares is None:
            return
        meter, classes = ActivityMeter(spec), np.zeros(len(y), np.int64)
        for start_at, (found, counts) in enumerate(shares):
            classes[start_at::count] = found
            meter.merge(counts)
    seconds = time.perf_counter() - start
    accuracy = float((classes == y).mean())
    activity = meter.result()
    console.say(
        f"{len(y)} samples in {seconds:.1f} s ({backend}): accuracy {100 * accuracy:.2f} %, "
        f"{activity.events_per_neuron:.3f} events per neuron and sample"
    )
    show_activity(console, activity)
    console.result(
        {
            "file": file,
            "backend": backend,
            "accuracy": accuracy,
            "seconds": seconds,
            "classes": by_name(spec.class_names, classes),
            **activity.to_dict(),
        }
    )


def show_activity(console: Console, activity: Activity) -> None:
    """Tables of an activity: layers, blocks, and the three counts."""
    columns = ["layer", "role", "neurons", "events", "payload", "events per neuron"]
    columns += ["synops", "payload x fan-out"]
    rows = [
        [
            *(a.layer, a.role, a.neurons, a.events, a.payload, a.events_per_neuron),
            *(a.operations.events, a.operations.payload),
        ]
        for a in activity.layers
    ]
    console.table("activity per sample; synops: what a layer's synapses compute", columns, rows)
    if activity.blocks:
        console.table(
            "along the stages, per neuron and timestep",
            ["stage", "block", "layer", "events", "payload"],
            [[b.stage, b.block, b.layer, b.density, b.magnitude] for b in activity.blocks],
        )
    counts = {
        "into synapses": activity.into_synapses,
        "block outputs": activity.block_outputs,
        "all": activity.all,
        "synaptic operations": activity.operations,
    }
    console.table(
        "totals per sample",
        ["count", "events", "payload"],
        [[name, count.events, count.payload] for name, count in counts.items()],
    )


def run_check(
    console: Console,
    file: Path,
    model: Path | None,
    data: str | None,
    samples: int,
    lava_samples: int,
    backends: list[str],
) -> None:
    """Ranges and parity of a file."""
    from lava_mlsnn.training.checkpoint import load_model

    for name in backends:
        backend_of(name)
    spec = read(file)
    trained = None if model is None else load_model(model)
    ranges = worst_case(spec)
    problems = [f"{spec.label(r.index)}: {r.problem}" for r in ranges if not r.fits]
    widest = max(ranges, key=lambda r: r.bits)
    console.say(
        f"ranges: {len(ranges)} layers, widest {widest.bits} of 24 bits in layer {widest.name}"
    )
    for problem in problems:
        console.say(f"  does not fit: {problem}")
    if lava_samples and (needs := lava_needs()):
        console.say(f"not compared with Lava: it needs {needs}")
        lava_samples = 0
    if trained is None and not lava_samples and not backends:
        console.say("parity: nothing to compare with; name --model, --backend or --lava-samples")
        _finish_check(console, file, problems, widest.bits, parity.ParityReport())
        return
    x, y = test_samples(console, spec, data, samples)
    if len(x) == 0:
        raise DataError("a parity check needs at least one sample")
    with console.progress("comparing") as follow:
        report = parity.check_parity(
            spec,
            x,
            model=trained,
            lava_samples=lava_samples,
            backends=backends,
            labels=y,
            progress=lambda side, done, total: follow(done, total),
        )
    console.say(*f"parity: {report}".split("\n"))
    _finish_check(console, file, problems, widest.bits, report)


def _finish_check(
    console: Console, file: Path, problems: list[str], widest: int, report: ParityReport
) -> None:
    console.result({"file": file, "problems": problems, "widest_bits": widest, **report.to_dict()})
    if problems or report.count:
        raise Failed
