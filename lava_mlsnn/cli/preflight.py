"""``mlsnn check FILE --target loihi2``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lava_mlsnn.cli.console import Console, Failed
from lava_mlsnn.cli.data import test_samples
from lava_mlsnn.errors import ConfigError, MLSNNError
from lava_mlsnn.loihi2 import limits_for, preflight
from lava_mlsnn.loihi2.fit.mapping_file import write_mapping
from lava_mlsnn.loihi2.fit.preflight import Preflight
from lava_mlsnn.runner import encode
from netx_export import read
from netx_export.spec import NetworkSpec

__all__ = ["check_options", "run_preflight"]


def check_options(target: str, only: dict[str, Any], parity: dict[str, Any]) -> None:
    """ConfigError for a target that is none, and for options that would be dropped."""
    if target not in ("", "loihi2"):
        raise ConfigError(f"target must be loihi2 or left out, got {target!r}")
    given = [name for name, value in (parity if target else only).items() if value]
    if given and not target:
        raise ConfigError(f"{', '.join(given)} goes with --target loihi2; add it, or leave it out")
    if given:
        raise ConfigError(f"{', '.join(given)} is for the parity check; leave it or --target out")


def run_preflight(
    console: Console,
    file: Path,
    data: str | None,
    samples: int,
    system: str,
    limits: list[str],
    cores: int | None,
    mapping: Path | None,
) -> None:
    """Report, and exit code 1 if the network does not fit."""
    table = limits_for(system, limits)
    spec = read(file)
    payload = _payload(console, spec, data, samples)
    with console.progress("calibrating") as follow:
        report = preflight(spec, table, payload, cores, follow)
    _say(console, report)
    if mapping is not None:
        write_mapping(mapping, report)
        console.say(f"wrote the balanced mapping to {mapping}")
    console.result({"file": file, "mapping": mapping, **report.to_dict()})
    if not report.fits:
        raise Failed


def _payload(
    console: Console, spec: NetworkSpec, data: str | None, samples: int
) -> np.ndarray | None:
    """Calibration samples; None where no dataset is named and the file's own does not do."""
    try:
        x, _ = test_samples(console, spec, data, samples)
    except MLSNNError as error:
        if data is not None:
            raise
        console.say(f"no samples: {error.message}")
        return None
    return encode(spec, x)


def _say(console: Console, report: Preflight) -> None:
    """The verdict, then what it rests on."""
    for finding in report.findings:
        console.say(f"does not fit: {finding}")
    if report.fits:
        cores = report.placed["balanced"].mapping.cores
        chips = -(-cores // report.limits["cores_per_chip"])
        console.say(
            f"fits {report.limits.system}: {cores} of {report.limits.cores} cores, {chips} of "
            f"{report.limits.chips} chips; estimates, none of them measured on silicon"
        )
    columns = ["layer", "neurons", "words", "weight bits", "exponent", "worst", "seen"]
    columns += ["message bits", "delay", "fan-in", "fan-out", "synapses"]
    console.table(
        "layers (worst, seen: bits of sums and states, 24 fit)",
        columns,
        [
            [
                *(x.name, x.neurons, x.words, x.weight_bits, x.weight_exp),
                "" if x.worst_bits is None else x.worst_bits,
                "" if x.observed_bits is None else x.observed_bits,
                *(x.message_bits, x.delay, x.fan_in, x.fan_out, x.synapses),
            ]
            for x in report.layers
        ],
    )
    console.table(
        f"balanced on {report.limits.system}, per timestep (layers share cores)",
        ["layer", "cores", "events", "messages", "synaptic operations"],
        [[x.name, x.cores, x.events, x.messages, x.operations] for x in report.layers],
    )
    known = f"{report.samples} samples" if report.samples else "assumed; name --data to measure it"
    console.say(f"activity: {known}")
    if report.placed:
        bound = f"lower bound: {report.bound} cores, by {report.bound_by}"
        console.table(f"mappings ({bound})", *_mappings(report))
        best = list(report.placed.values())[-1]
        rates = best.estimate.to_dict()["samples_per_second_at_step_us"]
        console.say(
            "samples/s if a timestep took "
            + ", ".join(f"{us} us: {rate:.4g}" for us, rate in rates.items())
        )
    assumed = [x.name for x in report.limits.table.values() if x.status in ("assumed", "inferred")]
    console.say(f"assumed or inferred, change with --limit NAME=VALUE: {', '.join(assumed)}")


def _mappings(report: Preflight) -> tuple[list[str], list[list[Any]]]:
    columns = ["mapping", "cores", "busiest core, us", "busiest / mean", "step, us"]
    columns += ["samples/s", "latency, ms", "messages/step"]
    rows = [
        [
            name,
            p.mapping.cores,
            p.mapping.busiest / 1e3,
            p.mapping.imbalance,
            p.estimate.step_ns / 1e3,
            p.estimate.samples_per_second(),
            p.estimate.latency_ns / 1e6,
            p.estimate.messages,
        ]
        for name, p in report.placed.items()
    ]
    return columns, rows
