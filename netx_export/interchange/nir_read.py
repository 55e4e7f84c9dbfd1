"""NIR of whole numbers, N = 1 and T = 1, as a network: the reverse of :mod:`.nir`.

Nodes that only sum (convolutions, linear maps, pools, scales) become synapses of the neurons
or the output behind them, or a relay where something else is behind them. Ours.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from netx_export.errors import (
    FormatError,
    MLSNNError,
    RangeError,
    UnsupportedLayerError,
    at,
    said,
)
from netx_export.file.atomic import as_path
from netx_export.interchange.graph import need
from netx_export.interchange.nir import NOTE
from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    Synapse,
)
from netx_export.spec.checks import check_shape
from netx_export.spec.ranges import check_ranges
from netx_export.spec.widths import STATE_MAX, check_weights

__all__ = ["import_nir"]

LINEAR = ("Conv2d", "Linear", "Affine", "SumPool2d", "Scale")
FAR = 1 << 31  # whatever is larger fits nowhere
NOTE_FORM = "what lava_mlsnn noted of the input"


def import_nir(path: str | os.PathLike[str], input: Input | None = None) -> NetworkSpec:
    """Read a network that NIR says exactly: binary neurons at T = 1, whole numbers.

    Parameters
    ----------
    path : path
        The file.
    input : Input, optional
        Levels and gain of what enters, which NIR does not say; default: what
        :func:`export_nir` noted, else payloads 0 and 1.

    Returns
    -------
    NetworkSpec
        T = 1.

    Raises
    ------
    UnsupportedLayerError
        For nodes, and weights, biases and thresholds, that have no exact counterpart.
    FormatError
        For what is no NIR file.
    RangeError
        For numbers that do not fit.
    ConfigError
        Where the package nir is missing.
    """
    nir = need("nir", "nir", "NIR files")
    file = as_path(path)
    try:
        graph = nir.read(file)
    except MLSNNError:
        raise
    except Exception as error:  # of nir and h5py
        raise FormatError(f"{file} is no NIR file that nir can read ({said(error)})") from None
    with at(str(file)):
        spec = _Reader(graph, input).spec()
        check_ranges(spec)
    return spec


@dataclass(frozen=True)
class _Part:
    """One synapse, and the bias that its node holds."""

    synapse: Synapse
    bias: np.ndarray | None


class _Reader:
    """Layers so far, by the names of nodes."""

    def __init__(self, graph: Any, input: Input | None) -> None:
        self.nodes: dict[str, Any] = graph.nodes
        self.kinds = {name: type(node).__name__ for name, node in self.nodes.items()}
        self.into: dict[str, list[str]] = {name: [] for name in self.nodes}
        self.out: dict[str, list[str]] = {name: [] for name in self.nodes}
        for a, b in graph.edges:
            self.into[b].append(a)
            self.out[a].append(b)
        self.given = input
        self.layers: list[Any] = []
        self.index: dict[str, int] = {}
        self.class_names: tuple[str, ...] = ()

    def spec(self) -> NetworkSpec:
        for kind, count in (("Input", 1), ("Output", 1)):
            found = [name for name, k in self.kinds.items() if k == kind]
            if len(found) != count:
                raise UnsupportedLayerError(
                    f"a network has one {kind} node, this NIR graph has {len(found)}"
                )
        for name in self.ordered():
            with at(f"NIR node {name!r}"):
                self.node(name)
        return NetworkSpec(tuple(self.layers), 1, {}, self.class_names)

    def ordered(self) -> list[str]:
        """Every node behind what feeds it."""
        waits = {name: len(sources) for name, sources in self.into.items()}
        ready = [name for name, count in waits.items() if count == 0]
        done: list[str] = []
        while ready:
            name = ready.pop(0)
            done.append(name)
            for after in self.out[name]:
                waits[after] -= 1
                if waits[after] == 0:
                    ready.append(after)
        if len(done) < len(self.nodes):
            raise UnsupportedLayerError("the NIR graph is recurrent, which has no counterpart")
        return done

    def inside(self, name: str) -> bool:
        """Whether a node is a synapse of what is behind it."""
        targets = all(self.kinds[after] in ("IF", "Output") for after in self.out[name])
        return self.kinds[name] in LINEAR and targets and len(self.into[name]) == 1

    def add(self, name: str, layer: Any) -> None:
        self.index[name] = len(self.layers)
        self.layers.append(layer)

    def node(self, name: str) -> None:
        node, kind = self.nodes[name], self.kinds[name]
        if kind == "Input":
            self.add(name, self.input(name, node))
        elif kind == "Flatten":
            if len(self.into[name]) > 1:
                raise UnsupportedLayerError("flattens a sum; put a Scale by 1 before it")
            source = self.index[self.into[name][0]]
            size = int(np.prod(self.layers[source].shape))
            self.add(name, Flatten(source, (size,), name))
        elif kind in LINEAR:
            if not self.inside(name):
                self.relay(name, node)
        elif kind == "IF":
            self.neurons(name, node)
        elif kind == "Output":
            before = self.into[name]
            only = self.kinds[before[0]] if len(before) == 1 else ""
            if only != "IF":
                self.sums(name, Readout())
        else:
            raise UnsupportedLayerError(
                f"{kind} has no exact counterpart; nir.IF without a leak is the one neuron that has"
            )

    def input(self, name: str, node: Any) -> Input:
        shape = check_shape(tuple(_whole(node.input_type["input"], "its shape").reshape(-1)))
        if self.given is not None:
            if self.given.shape != shape:
                raise FormatError(f"the input is of shape {shape}, got {self.given.shape}")
            return self.given
        said = (getattr(node, "metadata", None) or {}).get(NOTE)
        if said is None:
            return Input(shape, 1, name=name)
        try:
            facts = json.loads(said)
            self.class_names = tuple(facts["class_names"])
            return Input(shape, facts["levels"], facts["signed"], facts["gain"], name=name)
        except (ValueError, KeyError, TypeError):
            raise FormatError(f"{NOTE_FORM} cannot be read: {said!r:.80}") from None

    # -- populations --------------------------------------------------------------
    def sums(self, name: str, neuron: Any) -> None:
        """A population of what goes into a node."""
        parts = [self.part(before) for before in self.into[name]]
        self.population(name, parts, neuron)

    def population(self, name: str, parts: list[_Part], neuron: Any) -> None:
        synapses = tuple(part.synapse for part in parts)
        shape = synapses[0].output_shape(self.layers[synapses[0].source].shape)
        held = [part.bias for part in parts if part.bias is not None]
        bias = np.sum(held, axis=0) if held else None
        self.add(name, Population(name, shape, synapses, neuron, bias))

    def neurons(self, name: str, node: Any) -> None:
        if np.any(_numbers(node.r, "its resistance r") != 1):
            raise UnsupportedLayerError("has a resistance r other than 1; put it into the weights")
        limit = np.floor(_numbers(node.v_threshold, "its threshold")) + 1  # v > limit, of whole v
        if limit.size == 0 or limit.ndim == 0:
            raise FormatError(f"must have a threshold for each neuron, got shape {limit.shape}")
        limit = limit.reshape(limit.shape[0], -1)
        if np.any(limit != limit[:, :1]):
            raise UnsupportedLayerError("has several thresholds in a channel; give it one")
        if np.abs(limit).max() > STATE_MAX:
            raise RangeError(f"its threshold must fit 24 bits, got {limit.max() - 1:g}")
        reach = limit[:, 0].astype(np.int64)
        vth = np.maximum(reach, 1)
        if np.all(reach == reach[0]):
            vth, reach = vth[:1], reach[:1]
        self.sums(name, MultiLevel(1, vth, vth - reach))

    def relay(self, name: str, node: Any) -> None:
        before = self.into[name]
        plain = self.kinds[name] == "Scale" and np.all(node.scale == 1)
        if plain or len(before) == 1:
            parts = [self.part(b) for b in before] if plain else [self.linear(name, before[0])]
            self.population(name, parts, Readout(False))
            return
        total = f"{name}.sum"
        self.population(total, [self.part(b) for b in before], Readout(False))
        self.population(name, [self.linear(name, total)], Readout(False))

    def part(self, name: str) -> _Part:
        """What a node sends to a sum: through itself, or one to one."""
        if name not in self.index:
            return self.linear(name, self.into[name][0])
        source = self.index[name]
        size = self.layers[source].shape[0]
        return _Part(Identity(source, np.ones(size, np.int64)), None)

    def linear(self, name: str, before: str) -> _Part:
        node, kind, source = self.nodes[name], self.kinds[name], self.index[before]
        shape = self.layers[source].shape
        with at(f"NIR node {name!r}"):
            if kind in ("Linear", "Affine"):
                weight, e = _weights(node.weight)
                bias = _bias(node.bias) if kind == "Affine" else None
                return _Part(Dense(source, weight, e), bias)
            if kind == "Conv2d":
                if isinstance(node.padding, str):
                    raise UnsupportedLayerError(
                        f"its padding must be numbers, got {node.padding!r}"
                    )
                weight, e = _weights(node.weight)
                window = (
                    _pair(node.stride, "its stride"),
                    _pair(node.padding, "its padding"),
                    _pair(node.dilation, "its dilation"),
                )
                conv = Conv(source, weight, e, *window, int(_whole(node.groups, "its groups")))
                return _Part(conv, _bias(node.bias))
            if kind == "SumPool2d":
                ones = np.ones((shape[0], 1, *_pair(node.kernel_size, "its kernel")), np.int64)
                ends = _pair(node.stride, "its stride"), _pair(node.padding, "its padding")
                return _Part(Conv(source, ones, 0, *ends, groups=shape[0]), None)
            scale = _numbers(node.scale, "its scale").reshape(shape[0], -1)
            if np.any(scale != scale[:, :1]):
                raise UnsupportedLayerError("scales the neurons of a channel differently")
            weight, e = _weights(scale[:, 0])
            return _Part(Identity(source, weight, e), None)


def _numbers(values: Any, what: str) -> np.ndarray:
    found = np.asarray(values)
    if found.dtype.kind not in "biuf":
        raise UnsupportedLayerError(f"{what} must be numbers, got {found.dtype}")
    numbers: np.ndarray = found.astype(np.float64)
    return numbers


def _whole(values: Any, what: str, why: str = "") -> np.ndarray:
    """Integers, or what they are not."""
    found = _numbers(values, what)
    if not np.all(np.isfinite(found)) or np.any(found != np.floor(found)):
        raise UnsupportedLayerError(why or f"{what} must be whole numbers")
    if np.abs(found).max(initial=0) > FAR:
        raise RangeError(f"{what} must fit 32 bits, got up to {np.abs(found).max():g}")
    return found.astype(np.int64)


def _pair(value: Any, what: str) -> tuple[int, int]:
    found = _whole(value, what).reshape(-1)
    if found.size not in (1, 2):
        raise FormatError(f"{what} must be one or two numbers, got {found.size}")
    return int(found[0]), int(found[-1])


def _bias(values: np.ndarray) -> np.ndarray | None:
    why = "its bias must be of whole numbers, as its weights"
    found = _whole(values, "its bias", why)
    return found if found.any() else None


def _weights(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Whole numbers and their exponent."""
    why = (
        "its weights must be whole numbers of 8 bits, times a power of two; for a trained "
        "network of floats see lava_mlsnn.from_spiking"
    )
    whole, e = _whole(values, "its weights", why), 0
    while e < 16 and np.abs(whole).max(initial=0) > 127 and not np.any(whole & 1):
        if np.abs(whole).max() <= 254:
            break
        whole, e = whole >> 1, e + 1
    check_weights(whole)
    return whole, e
