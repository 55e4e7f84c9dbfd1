"""``mlsnn info``: what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lava_mlsnn.cli.console import Console
from netx_export import latency, read, stock_reasons, worst_case
from netx_export.spec import Flatten, Input, NetworkSpec, Population
from netx_export.spec.describe import describe
from netx_export.spec.timing import delays, depths

__all__ = ["run_info"]


def run_info(console: Console, file: Path) -> None:
    """Layers, latencies, integers, ranges; the sentences before the table."""
    spec = read(file)
    ranges = {r.index: r for r in worst_case(spec)}
    bits = {index: r.bits for index, r in ranges.items()}
    reasons = stock_reasons(spec)
    low, high = spec.input.payload
    bad = [r for r in ranges.values() if not r.fits]
    console.say(
        f"{file}: {len(spec.populations)} layers of neurons, T = {spec.timesteps}, latency "
        f"{latency(spec)} timesteps",
        f"input {low}..{high} = gain {spec.input.gain:g} x data",
        f"{spec.label(bad[0].index)} may leave 24 bits: {bad[0].problem}"
        if bad
        else f"no input can overflow: at most {max(bits.values())} of 24 bits",
    )
    if spec.class_names:
        console.say(f"classes: {', '.join(spec.class_names)}")
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    console.say(
        f"stock lava-dl cannot load this file: {reasons[0]}{more}"
        if reasons
        else "stock lava-dl loads this file"
    )
    rows = [{**row, "bits needed": bits.get(row["layer"], "")} for row in describe(spec)]
    columns = list(rows[0])
    console.table("", columns, [[row[c] for c in columns] for row in rows])
    console.result(
        {
            "file": file,
            "timesteps": spec.timesteps,
            "latency": latency(spec),
            "input": {"shape": spec.input.shape, "payload": [low, high], "gain": spec.input.gain},
            "fits_24_bits": not bad,
            "layers": _layers(spec, bits),
            "stock_reasons": reasons,
            "class_names": spec.class_names,
            "provenance": spec.provenance,
        }
    )


def _layers(spec: NetworkSpec, bits: dict[int, int]) -> list[dict[str, Any]]:
    """Every layer in numbers and words of one type each."""
    depth, delay = depths(spec), delays(spec)
    found = []
    for index, layer in enumerate(spec.layers):
        kind = "input" if isinstance(layer, Input) else "population"
        neuron = None if isinstance(layer, Flatten) else layer.neuron
        found.append(
            {
                "index": index,
                "name": layer.name,
                "kind": "flatten" if isinstance(layer, Flatten) else kind,
                "shape": layer.shape,
                "sources": layer.sources,
                "synapses": [
                    {"kind": s.kind, "text": s.text, "source": s.source, "delay": delay[index, k]}
                    for k, s in enumerate(layer.synapses)
                ]
                if isinstance(layer, Population)
                else [],
                "neuron": None if neuron is None else neuron.text,
                "payload": None if isinstance(layer, Flatten) else layer.payload,
                "message_bits": spec.sent_bits(index),
                "depth": depth[index],
                "bits_needed": bits.get(index),
            }
        )
    return found
