"""A binary network at T = 1 as NIR, and back: what both say the same.

``nir.IF`` sends 1 where ``v > v_threshold`` and then is set to ``v_reset``: two levels, a hard
reset. At T = 1 no state is left for a reset, and for whole numbers

    z = [a + b + V0 >= vth] = [a + b > vth - V0 - 1/2]

so that N = 1 and T = 1 can be said, and nothing more. Several edges into one node are summed,
which makes shortcuts plain; a relay is a ``Scale`` by 1. Weights and biases are the whole
numbers that they are here. Source: nir 1.0.8, ``nir/ir`` and ``nir/serialization.py``.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from netx_export.errors import UnsupportedLayerError, at
from netx_export.file.atomic import as_path, write_atomic
from netx_export.file.values import printable
from netx_export.interchange.graph import need
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
    need_spec,
)
from netx_export.spec.graph import order
from netx_export.spec.kinds import of_kind
from netx_export.spec.ranges import check_ranges

__all__ = ["export_nir", "nir_graph"]

FORM = "NIR"
NOTE = "lava_mlsnn"  # of the input: what NIR has no word for


def export_nir(spec: NetworkSpec, path: str | os.PathLike[str]) -> Path:
    """Write a network of binary neurons at T = 1 as NIR: whole or not at all.

    Parameters
    ----------
    spec : NetworkSpec
        N = 1 and T = 1; convolutions with square kernels and one group, sum pools, dense and
        one-to-one synapses.
    path : path
        The file.

    Returns
    -------
    Path
        The file; ``nir.read`` reads it, :func:`netx_export.interchange.nir_read.import_nir` too.

    Raises
    ------
    UnsupportedLayerError
        For what NIR cannot say, and what would be lost.
    RangeError
        For the first layer that can leave 24 bits.
    ConfigError
        For a path that cannot be written, or where the package nir is missing.
    """
    graph = nir_graph(spec)
    image = io.BytesIO()
    need("nir", "nir", "NIR files").write(image, graph)
    return write_atomic(as_path(path), image.getvalue())


def nir_graph(spec: NetworkSpec) -> Any:
    """The ``nir.NIRGraph`` of :func:`export_nir`."""
    need_spec(spec)
    for index, layer in enumerate(spec.layers):
        with at(spec.label(index)):
            _check(layer)
    for index, population in spec.populations:
        if population.neuron.spike_levels > 1:
            raise UnsupportedLayerError(
                f"nir.IF sends 0 or 1, and these neurons up to N = {population.neuron.spike_levels}"
                "; NIR has no graded neuron",
                spec.label(index),
            )
    if spec.timesteps > 1:
        raise UnsupportedLayerError(
            f"nir.IF forgets what is above the threshold when it fires, and these neurons keep it "
            f"(T = {spec.timesteps}); NIR can say T = 1 alone, where no state is left"
        )
    check_ranges(spec)
    graph = _Graph(spec)
    for index in order(spec.layers):
        with at(spec.label(index)):
            graph.layer(index)
    return graph.finish()


def _check(layer: Any) -> None:
    printable("name", layer.name)
    if "/" in layer.name:
        raise UnsupportedLayerError('NIR keeps layers as groups of HDF5, whose names have no "/"')
    if isinstance(layer, Flatten):
        return
    if layer.neuron is not None:
        of_kind({MultiLevel: 0, Readout: 0}, layer.neuron, FORM)
    if isinstance(layer, Population):
        for synapse in layer.synapses:
            of_kind(SYNAPSES, synapse, FORM)


class _Graph:
    """Nodes and edges so far."""

    def __init__(self, spec: NetworkSpec) -> None:
        self.nir: Any = need("nir", "nir", "NIR files")
        self.spec = spec
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []

    def finish(self) -> Any:
        return self.nir.NIRGraph(self.nodes, self.edges)

    def layer(self, index: int) -> None:
        layer, nir = self.spec.layers[index], self.nir
        shape = np.array(layer.shape)
        if isinstance(layer, Input):
            facts: dict[str, Any] = {
                "levels": layer.levels,
                "signed": layer.signed,
                "gain": layer.gain,
                "class_names": list(self.spec.class_names),
            }
            node = self.nodes[layer.name] = nir.Input(input_type={"input": shape})
            node.metadata = {NOTE: json.dumps(facts)}
            return
        if isinstance(layer, Flatten):
            before = np.array(self.spec.layers[layer.source].shape)
            self.nodes[layer.name] = nir.Flatten(input_type={"input": before}, start_dim=0)
            self.edges.append((self.spec.layers[layer.source].name, layer.name))
            return
        bias = np.zeros(layer.shape[0]) if layer.bias is None else layer.bias.astype(np.float64)
        bias = np.broadcast_to(bias, layer.shape[0])
        for k, synapse in enumerate(layer.synapses):
            bias = self.synapse(layer, k, synapse, bias)
        last = index == len(self.spec.layers) - 1
        if isinstance(layer.neuron, MultiLevel):
            self.nodes[layer.name] = self.neurons(layer, layer.neuron, bias)
            if last:
                self.nodes[f"{layer.name}.output"] = nir.Output(output_type={"output": shape})
                self.edges.append((layer.name, f"{layer.name}.output"))
        elif bias.any():
            raise UnsupportedLayerError(
                "has a bias, and no convolution or dense synapse that could hold it in NIR"
            )
        elif last:
            self.nodes[layer.name] = nir.Output(output_type={"output": shape})
        else:
            self.nodes[layer.name] = nir.Scale(scale=np.ones(layer.shape, np.float32))

    def neurons(self, layer: Population, neuron: MultiLevel, bias: np.ndarray) -> Any:
        limit = neuron.vth.astype(np.float64) - neuron.v0 - bias - 0.5
        column = limit.reshape(-1, *[1] * (len(layer.shape) - 1))
        full = np.broadcast_to(column, layer.shape)
        zeros = np.zeros(layer.shape, np.float32)
        return self.nir.IF(r=zeros + 1, v_threshold=full.astype(np.float32), v_reset=zeros)

    def synapse(self, layer: Population, k: int, synapse: Synapse, bias: np.ndarray) -> np.ndarray:
        """A node between two layers, or an edge; what is left of the bias."""
        if synapse.weight_exp < 0:
            raise UnsupportedLayerError(
                f"its weight_exp {synapse.weight_exp} rounds sums down, which NIR has no word for"
            )
        source = self.spec.layers[synapse.source]
        weight = (synapse.weight.astype(np.float64) * 2.0**synapse.weight_exp).astype(np.float32)
        node, left = of_kind(SYNAPSES, synapse, FORM)(self.nir, synapse, weight, source.shape, bias)
        if node is None and (source.name, layer.name) not in self.edges:
            self.edges.append((source.name, layer.name))
            return left
        if node is None:  # an edge says it once
            node = self.nir.Scale(scale=np.ones(layer.shape, np.float32))
        name = f"{layer.name}.synapse" + (str(k) if k else "")
        while name in self.nodes or any(other.name == name for other in self.spec.layers):
            name += "_"
        self.nodes[name] = node
        self.edges += [(source.name, name), (name, layer.name)]
        return left


# -- one function a synapse: its node (None: an edge), and what is left of the bias ----------
def _conv(nir: Any, s: Synapse, w: np.ndarray, source: Any, bias: np.ndarray) -> Any:
    form = s.geometry
    kernel = np.array(form.kernel)
    single = form.groups == w.shape[0] == source[0]
    if single and w.shape[1] == 1 and np.all(w == 1) and form.dilation == (1, 1):
        ends = np.array(form.stride), np.array(form.padding)
        return nir.SumPool2d(kernel, *ends), bias
    if form.groups > 1 or kernel[0] != kernel[1]:
        raise UnsupportedLayerError(
            "nir 1.0.8 reads a convolution of several groups, or with a kernel that is not "
            "square, with wrong shapes"
        )
    window = form.stride, form.padding, form.dilation, form.groups
    node = nir.Conv2d(tuple(source[1:]), w, *window, bias.astype(np.float32))
    return node, np.zeros_like(bias)


def _dense(nir: Any, s: Synapse, w: np.ndarray, source: Any, bias: np.ndarray) -> Any:
    if not bias.any():
        return nir.Linear(w), bias
    return nir.Affine(w, bias.astype(np.float32)), np.zeros_like(bias)


def _identity(nir: Any, s: Synapse, w: np.ndarray, source: Any, bias: np.ndarray) -> Any:
    if np.all(w == 1):
        return None, bias
    scale = np.broadcast_to(w.reshape(-1, *[1] * (len(source) - 1)), source)
    return nir.Scale(np.ascontiguousarray(scale)), bias


SYNAPSES = {Conv: _conv, Dense: _dense, Identity: _identity}
