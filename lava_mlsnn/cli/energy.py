"""``mlsnn energy``."""

from __future__ import annotations

from pathlib import Path

from lava_mlsnn.activity import ActivityMeter
from lava_mlsnn.cli.console import Console
from lava_mlsnn.cli.data import test_samples
from lava_mlsnn.energy import Constants, Design, energies, read_constants, structure
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export import read

__all__ = ["run_energy"]


def run_energy(
    console: Console,
    file: Path,
    data: str | None,
    samples: int,
    constants: Path | None,
    design: Design,
) -> None:
    """Energy of a file on the event-driven machine and its ANNs, by the analytical model."""
    table = Constants() if constants is None else read_constants(constants)
    spec = read(file)
    net = structure(spec)  # complain before reading data
    runner, meter = IntegerRunner(spec), ActivityMeter(spec)
    x, _ = test_samples(console, spec, data, samples)
    payload = encode(spec, x)
    with console.progress("running in the runner") as follow:
        for _ in meter.follow(runner.iter_traces(payload, progress=follow), payload):
            pass
    activity = meter.result()
    found = energies(net, activity, table, design)
    snn = found["snn"]
    console.say(
        f"{activity.samples} samples, {activity.operations.events:,.0f} synaptic operations each: "
        + ", ".join(f"{name} {e.nanojoule:,.0f} nJ" for name, e in found.items())
        + "".join(
            f", {snn.total / e.total:.3g} of the {name}"
            for name, e in found.items()
            if e is not snn and e.total
        )
    )
    console.say("a model, not a measurement: docs/energy.md says what is left out")
    for name, energy in found.items():
        columns, rows = energy.table()
        console.table(f"{name}, nJ per sample", columns, rows)
    console.result(
        {
            "file": file,
            "samples": activity.samples,
            "design": design.to_dict(),
            "constants": table.to_dict(),
            "models": {name: e.to_dict() for name, e in found.items()},
            "activity": activity.to_dict(),
        }
    )
