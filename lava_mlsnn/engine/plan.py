"""Which form every layer of a network takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from lava_mlsnn.engine.form import Form, Payloads
from lava_mlsnn.engine.fused import fuse
from lava_mlsnn.engine.general import General, has_form
from lava_mlsnn.engine.payload import BYTE_MAX, sample
from lava_mlsnn.engine.reference import Reference
from lava_mlsnn.engine.taps import tap
from lava_mlsnn.engine.trial import tried
from netx_export.errors import ConfigError
from netx_export.spec import Flatten, Input, NetworkSpec
from netx_export.spec.graph import order
from netx_export.spec.ranges import LayerRange, worst_case
from netx_export.spec.widths import STATE_MAX

__all__ = ["KINDS", "payload_ranges", "plan_layers"]

KINDS = ("auto", "general", "reference", "floating")


def plan_layers(
    spec: NetworkSpec,
    kind: str = "auto",
    overflow: str = "wrap",
    trusted: bool = True,
    batches: bool = True,
) -> tuple[dict[int, Form], list[bool]]:
    """One :class:`Form` per population, and which layers send bytes.

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level neurons and readouts.
    kind : {"auto", "general", "reference", "floating"}
        The fastest exact form; the same without :class:`Fused`; 64-bit integers; or
        float64 without any width, as the floating-point ProcessModels.
    overflow : {"wrap", "saturate"}
        For the layers whose worst case leaves 24 bits.
    trusted : bool
        Whether payloads that enter keep to the range that the file gives.
    batches : bool
        Whether several samples come at a time, or always one.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    ranges = {r.index: r for r in worst_case(spec if trusted else _of_any_input(spec))}
    payload = _payloads(spec, ranges)
    loose = _loose(spec, ranges, trusted)
    byte = [
        kind != "floating" and index not in loose and low >= 0 and high <= BYTE_MAX
        for index, (low, high) in enumerate(payload)
    ]
    layers: dict[int, Form] = {}
    for index, layer in spec.populations:
        narrow, out = [byte[s] for s in layer.sources], byte[index]
        plainly = functools.partial(Reference, spec, layer, out, overflow)
        exposed = not ranges[index].fits or any(s in loose for s in layer.sources)
        if kind == "reference" or exposed or not (has_form(layer) or kind == "floating"):
            layers[index] = plainly()
            continue
        shapes = [spec.layers[s].shape for s in layer.sources]
        general = functools.partial(General, layer, ranges[index], shapes, byte=out)
        if kind == "floating":
            layers[index] = general(narrow, wrapless=True)
            continue
        eight_bit = functools.partial(general, narrow)
        forms: list[Callable[[], Form | None]] = [functools.partial(general, [False] * len(narrow))]
        if any(narrow):
            forms.insert(0, eight_bit)
        if kind == "auto" and spec.timesteps == 1 and all(narrow) and out:
            largest = [payload[s][1] for s in layer.sources]
            for make in (fuse, tap):
                forms.insert(0, functools.partial(make, layer, largest, eight_bit))
        maps = functools.partial(
            _maps, [(spec.layers[s].shape, *payload[s], byte[s]) for s in layer.sources]
        )
        layers[index] = tried(layer.name, forms, plainly, maps, spec.timesteps, batches)
    return layers, byte


def _of_any_input(spec: NetworkSpec) -> NetworkSpec:
    """Neurons that the file's range of the input never makes fire may fire now."""
    anything = replace(spec.input, levels=STATE_MAX, signed=True)
    return NetworkSpec((anything, *spec.layers[1:]), spec.timesteps)


def _maps(sources: list[tuple[tuple[int, ...], int, int, bool]], count: int) -> Payloads:
    return [sample(shape, low, high, byte, count) for shape, low, high, byte in sources]


def payload_ranges(spec: NetworkSpec) -> list[tuple[int, int]]:
    """Smallest and largest payload of every layer, for legal samples."""
    return _payloads(spec, {r.index: r for r in worst_case(spec)})


def _payloads(spec: NetworkSpec, ranges: dict[int, LayerRange]) -> list[tuple[int, int]]:
    """Smallest and largest payload of every layer."""
    found = [(0, 0)] * len(spec.layers)
    for index in order(spec.layers):
        layer = spec.layers[index]
        if isinstance(layer, Input):
            found[index] = layer.payload
        elif isinstance(layer, Flatten):
            found[index] = found[layer.source]
        else:
            found[index] = ranges[index].payload
    return found


def _loose(spec: NetworkSpec, ranges: dict[int, LayerRange], trusted: bool) -> set[int]:
    """Layers whose payload may leave what :func:`worst_case` says, since it wraps before.

    Neurons that fire send 0..N whatever came in: behind them all is well again.
    """
    loose = set() if trusted else {0}
    for index in order(spec.layers):
        layer = spec.layers[index]
        if isinstance(layer, Input):
            continue
        fed = any(s in loose for s in layer.sources)
        if isinstance(layer, Flatten):
            wraps = fed
        else:
            wraps = not layer.neuron.fires and (fed or not ranges[index].fits)
        if wraps:
            loose.add(index)
    return loose
