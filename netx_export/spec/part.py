"""A part of a network that lies between two of its layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netx_export.errors import ConfigError, FormatError, RangeError
from netx_export.spec.checks import whole
from netx_export.spec.layers import Flatten, Input, Layer, Population
from netx_export.spec.limits import MAX_LAYERS
from netx_export.spec.network import NetworkSpec
from netx_export.spec.widths import STATE_MAX

__all__ = ["part"]


def part(spec: NetworkSpec, num_layers: Any = None, skip_layers: Any = 0) -> NetworkSpec:
    """Layers ``skip_layers`` to ``num_layers`` - 1, as numbered in the file.

    What the first part sends, given to the rest, is what the whole network sends.

    Parameters
    ----------
    spec : NetworkSpec
    num_layers : int, optional
        Only the first so many layers, all if there are fewer; default: all.
    skip_layers : int
        So many of them left out: what the layer before them sends enters instead.

    Raises
    ------
    ConfigError
        For a number that leaves no neurons, and for a cut through a shortcut: only one
        layer can leave a part, or enter one.
    """
    first, last = _number("skip_layers", skip_layers, 0), len(spec.layers)
    if num_layers is not None:
        last = min(last, _number("num_layers", num_layers, 1))
    while last < len(spec.layers) and isinstance(spec.layers[last - 1], Flatten):
        last -= 1
    if not any(isinstance(layer, Population) for layer in spec.layers[first:last]):
        raise ConfigError(
            f"layers {first}..{last - 1} (skip_layers, num_layers) must hold neurons; the network "
            f"has {len(spec.layers)} layers"
        )
    layers, kept = spec.layers, range(max(first, 1), last)
    _check_end(spec, range(last))
    enters = {s for i in kept for s in layers[i].sources if s < kept.start}
    if len(enters) != 1:
        raise ConfigError(
            f"skip_layers = {first} cuts a shortcut: the layers behind it read "
            f"{' and '.join(spec.label(s) for s in sorted(enters))}; cut where one layer is all "
            "that is read"
        )
    (entry,) = enters
    start = layers[0] if first == 0 else _entry(spec, entry)
    place = {entry: 0} | {index: k for k, index in enumerate(kept, 1)}
    moved = (start, *(_moved(layers[index], place) for index in kept))
    names = spec.class_names if last == len(layers) else ()
    return replace(spec, layers=moved, class_names=names)


def _number(name: str, value: Any, low: int) -> int:
    try:
        return whole(value, name, low, MAX_LAYERS)
    except (FormatError, RangeError) as error:
        raise ConfigError(error.message) from None


def _check_end(spec: NetworkSpec, kept: range) -> None:
    """ConfigError unless the kept layers read each other, and all of them the last."""
    used = {s for i in kept for s in spec.layers[i].sources}
    loose = sorted((set(kept) - used - {kept[-1]}) | (used - set(kept)))
    if loose:
        raise ConfigError(
            f"num_layers = {len(kept)} cuts a shortcut: {spec.label(loose[0])} is read, or reads, "
            "across the cut; cut behind a layer that all later ones depend on"
        )


def _entry(spec: NetworkSpec, index: int) -> Input:
    """The input layer in the place of a layer that sends."""
    sender = spec.layers[spec.sender(index)]
    assert not isinstance(sender, Flatten)
    low, high = (sender.neuron or sender).payload if isinstance(sender, Input) else sender.payload
    return Input(
        spec.layers[index].shape,
        levels=min(max(high, -low), STATE_MAX),
        signed=low < 0,
        name=spec.input.name,
    )


def _moved(layer: Layer, place: dict[int, int]) -> Layer:
    if isinstance(layer, Population):
        synapses = (replace(s, source=place[s.source]) for s in layer.synapses)
        return replace(layer, synapses=tuple(synapses))
    if isinstance(layer, Flatten):
        return replace(layer, source=place[layer.source])
    return layer
