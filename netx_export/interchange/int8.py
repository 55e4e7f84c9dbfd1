"""A network at T = 1 as an ONNX model for speed: 8-bit operators, the same integers.

Payloads are uint8 between ``QuantizeLinear`` and ``DequantizeLinear`` (scale 1, zero point 0),
so that an engine fuses what is between them into 8-bit kernels. A convolution or dense synapse,
the bias and the threshold become one such kernel (:mod:`.lines`), a ``Clip`` on uint8 holds
payloads to N. A one-to-one shortcut that adds whole thresholds comes after the floor; a
projection joins the main convolution, its source, strided, as further channels. Sums of
payloads below 256 stay uint8. Every other layer is computed in floats, as in
:mod:`.operators`: slower, and still equal.

Kernels without VNNI add two products in 16 bits, which saturate: so payloads above 127 do not
enter a fused layer. Ours.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from netx_export.errors import UnsupportedLayerError
from netx_export.file.atomic import as_path, write_atomic
from netx_export.interchange.lines import line
from netx_export.interchange.operators import Layers, Tensor
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
from netx_export.spec.ranges import worst_case

__all__ = ["Int8", "export_onnx_int8"]

SHIFTED = 128  # zero point of sums that may be negative; at most 255 minus the levels
LOUDEST = 127  # payload of a fused layer's source
UINT8 = 255


def export_onnx_int8(spec: NetworkSpec, path: str | os.PathLike[str]) -> Path:
    """Write a network at T = 1 as an ONNX model of 8-bit operators: whole or not at all.

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level, readout and relay neurons, T = 1.
    path : path
        The file.

    Returns
    -------
    Path
        The file. Its input and output are called like their layers: (N, *shape), int32, but
        an input of payloads 0..255 is uint8. Its
        metadata ``floats`` lists the layers that are computed in floats.

    Raises
    ------
    UnsupportedLayerError
        For T > 1, whose states need more than 8 bits; for a synapse or neuron without an
        exact form.
    RangeError
        For the first layer that can leave 24 bits.
    ConfigError
        For a path that cannot be written, or where the package onnx is missing.
    """
    return write_atomic(as_path(path), Int8(spec).write())


class Int8(Layers):
    """Layers as uint8 wherever that is exact.

    Attributes
    ----------
    in_float : list of str
        Layers that are computed in floats.
    """

    form = "an ONNX model of 8 bits"

    def __init__(self, spec: NetworkSpec) -> None:
        need_spec(spec)
        if spec.timesteps > 1:
            raise UnsupportedLayerError(
                f"states need more than 8 bits, and this network has T = {spec.timesteps}; export "
                "it as a plain ONNX model"
            )
        super().__init__(spec)
        self.bytes: dict[int, str] = {}  # uint8, by layer
        self.in_float: list[str] = []
        self.range = {found.index: found.payload for found in worst_case(spec)}

    def facts(self) -> dict[str, str]:
        """As in the base, and which layers are slow."""
        return super().facts() | {"floats": " ".join(self.in_float)}

    # -- uint8 and back -----------------------------------------------------------
    def scalar(self, value: Any, hint: str) -> str:
        """A constant of one number of its own type."""
        name = self.fresh(hint)
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def quantised(self, name: str, zero: int = 0) -> str:
        """Whole floats to uint8."""
        ends = self.scalar(np.float32(1), "one"), self.scalar(np.uint8(zero), "zero")
        return self.node("QuantizeLinear", name, *ends)

    def real(self, name: str, zero: int = 0) -> str:
        """The reverse."""
        ends = self.scalar(np.float32(1), "one"), self.scalar(np.uint8(zero), "zero")
        return self.node("DequantizeLinear", name, *ends)

    def parameter(self, values: np.ndarray, scale: np.ndarray, hint: str) -> str:
        """Integer numbers of a fused layer, one scale a channel."""
        zeros = self.constant(np.zeros(len(scale)), "zeros", values.dtype.type)
        names = self.constant(values, hint, values.dtype.type), self.constant(scale, "scale")
        return self.node("DequantizeLinear", *names, zeros, axis=0)

    def largest(self, index: int) -> int:
        """The largest payload of a layer that sends none below 0; else more than fits."""
        layer = self.spec.layers[index]
        if isinstance(layer, Flatten):
            return self.largest(layer.source)
        low, high = self.range.get(index, layer.payload)
        return int(high) if low >= 0 else UINT8 + 1

    def byte(self, index: int) -> str | None:
        """A layer's payloads as uint8, if they fit."""
        if index not in self.bytes:
            if self.largest(index) > UINT8:
                return None
            self.bytes[index] = self.quantised(self.payloads[index].name)
        return self.bytes[index]

    def input(self, layer: Input) -> Tensor:
        """Samples: uint8 where they fit."""
        if self.largest(0) > UINT8:
            return super().input(layer)
        self.bytes[0] = layer.name
        return Tensor(self.real(layer.name), False)

    def value(self, name: str, kind: int, shape: list[int]) -> Any:
        """As in the base, with the input's own type."""
        entry = name == self.spec.input.name and 0 in self.bytes
        return super().value(name, self.onnx.TensorProto.UINT8 if entry else kind, shape)

    # -- layers -------------------------------------------------------------------
    def layer(self, index: int) -> None:
        """Fused where it can be."""
        layer = self.spec.layers[index]
        self.place = layer.name
        z = None
        if isinstance(layer, Flatten) and layer.source in self.bytes:
            z = self.node("Flatten", self.bytes[layer.source], axis=1)
        elif isinstance(layer, Population) and isinstance(layer.neuron, MultiLevel):
            z = self.fused(layer, layer.neuron)
        elif isinstance(layer, Population):
            z = self.added(layer) or self.pooled(layer)
        if z is not None:
            self.bytes[index] = z
            self.payloads[index] = Tensor(self.real(z), False)
            return
        if isinstance(layer, Population):
            self.in_float.append(layer.name)
        super().layer(index)

    def added(self, layer: Population) -> str | None:
        """A relay of payloads one to one, whose sum is one too."""
        assert isinstance(layer.neuron, Readout)
        ones = all(
            isinstance(s, Identity) and s.weight_exp == 0 and np.all(s.weight == 1)
            for s in layer.synapses
        )
        if layer.neuron.integrate or layer.bias is not None or not ones:
            return None
        if sum(self.largest(s.source) for s in layer.synapses) > UINT8:
            return None
        total = ""
        for synapse in layer.synapses:
            part = self.real(str(self.byte(synapse.source)))
            total = self.real(self.quantised(self.node("Add", total, part))) if total else part
        return self.quantised(total)

    def pooled(self, layer: Population) -> str | None:
        """A relay that sums whole maps."""
        first, *rest = layer.synapses
        shape = self.spec.layers[first.source].shape
        whole = isinstance(first, Conv) and first.weight.shape[1:] == (1, *shape[1:])
        if rest or not whole or layer.bias is not None or not np.all(first.weight == 1):
            return None
        area = int(np.prod(shape[1:]))
        if any(first.geometry.padding) or area * self.largest(first.source) > UINT8:
            return None
        mean = self.node("GlobalAveragePool", self.real(str(self.byte(first.source))))
        part = self.scalar(np.float32(1 / area), "part"), self.scalar(np.uint8(0), "zero")
        return self.node("QuantizeLinear", mean, *part)  # read with scale 1: the sum

    def fused(self, layer: Population, neuron: MultiLevel) -> str | None:
        """One 8-bit kernel, if there is an exact one."""
        if neuron.levels > LOUDEST:
            return None
        rest = layer.synapses[1:]
        shortcut = rest[0] if len(rest) == 1 and isinstance(rest[0], Identity) else None
        merged = self.merged(layer, neuron)
        if merged is None:
            return None
        source, synapse = merged
        weight, unit = _halved(synapse)
        if weight is None:
            return None
        low, shift = 1, 0
        if shortcut is not None:  # the sum before it may be negative
            low, shift = 1 - self.largest(shortcut.source), SHIFTED
        vth, offset = _integers(layer, neuron)
        found = line(vth, offset, unit, np.arange(low, neuron.levels + 1), shift)
        if found is None:
            return None
        scale, bias = found
        if isinstance(synapse, Dense):  # as a convolution of one pixel
            pixel = self.constant([0, -1, 1, 1], "shape", np.int64)
            source, weight = self.node("Reshape", source, pixel), weight[:, :, None, None]
        parts = self.parameter(weight, scale, "weight"), self.parameter(bias, scale, "bias")
        sums = self.kernel(synapse, self.real(source), *parts)
        if shortcut is not None:
            whole = self.real(self.quantised(sums), SHIFTED)  # the bias holds the shift
            other = self.byte(shortcut.source)
            assert other is not None
            if isinstance(synapse, Dense):
                other = self.node("Reshape", other, self.constant([0, -1, 1, 1], "shape", np.int64))
            sums = self.node("Add", whole, self.real(other))
        z = self.limited(self.quantised(sums), neuron.levels)
        return self.node("Flatten", z, axis=1) if isinstance(synapse, Dense) else z

    def kernel(self, synapse: Synapse, *names: str) -> str:
        """A convolution between payloads and sums."""
        form = synapse.geometry
        ends = list(form.padding) * 2
        if isinstance(synapse, Dense):
            return self.node("Conv", *names)
        return self.node(
            "Conv",
            *names,
            strides=list(form.stride),
            pads=ends,
            dilations=list(form.dilation),
            group=form.groups,
        )

    def limited(self, name: str, levels: int) -> str:
        """Payloads, held to N."""
        ends = self.scalar(np.uint8(0), "lowest"), self.scalar(np.uint8(levels), "levels")
        return self.node("Clip", name, *ends)

    def merged(self, layer: Population, neuron: MultiLevel) -> tuple[str, Conv | Dense] | None:
        """The source and one synapse that holds all but an exact shortcut."""
        first, *rest = layer.synapses
        if not isinstance(first, Conv | Dense) or first.weight_exp < 0 or len(rest) > 1:
            return None
        if any(self.largest(s.source) > LOUDEST for s in layer.synapses):
            return None
        source = self.byte(first.source)
        if source is None or not rest:
            return None if source is None else (source, first)
        other = rest[0]
        if isinstance(other, Identity):
            gain = other.weight.astype(np.int64) << max(other.weight_exp, 0)
            whole = other.weight_exp >= 0 and np.array_equal(
                np.broadcast_to(neuron.vth, gain.shape), gain
            )
            return (source, first) if whole else None
        return self.projection(source, first, other)

    def projection(self, source: str, first: Any, other: Synapse) -> tuple[str, Conv] | None:
        """Both convolutions as one over the joined channels of their sources."""
        if not (isinstance(first, Conv) and isinstance(other, Conv)):
            return None
        kernel = first.weight.shape[2:]
        centred = (
            first.stride == first.dilation == other.dilation == (1, 1)
            and first.groups == other.groups == 1
            and other.weight.shape[2:] == (1, 1)
            and other.padding == (0, 0)
            and all(k == 2 * p + 1 for k, p in zip(kernel, first.padding, strict=True))
            and other.weight_exp >= first.weight_exp
        )
        if not centred:
            return None
        weight = other.weight.astype(np.int64) << (other.weight_exp - first.weight_exp)
        wide = np.zeros((*weight.shape[:2], *kernel), np.int64)
        wide[:, :, kernel[0] // 2, kernel[1] // 2] = weight[:, :, 0, 0]
        both = np.concatenate([first.weight, wide], axis=1)
        joined = replace(first, weight=both) if np.abs(both).max() < 1 << 16 else first
        if joined is first or _halved(joined)[0] is None:
            return None
        second = self.byte(other.source)
        assert second is not None
        if other.stride != (1, 1):
            steps = [0, 0], [2**31] * 2, [2, 3], list(other.stride)
            second = self.node(
                "Slice", second, *(self.constant(v, "step", np.int64) for v in steps)
            )
        return self.node("Concat", source, second, axis=1), joined


def _halved(synapse: Conv | Dense) -> tuple[np.ndarray | None, int]:
    """Weights as int8, and what one unit of their sums is worth; None where they do not fit."""
    weight = synapse.weight.astype(np.int64)
    unit = 1 << synapse.weight_exp
    if weight.min() < -128 or weight.max() > 127:
        if np.any(weight & 1):
            return None, unit
        weight, unit = weight // 2, 2 * unit
    if weight.min() < -128 or weight.max() > 127:
        return None, unit
    return weight.astype(np.int8), unit


def _integers(layer: Population, neuron: MultiLevel) -> tuple[np.ndarray, np.ndarray]:
    """Threshold, and bias plus start value, per channel."""
    channels = layer.shape[0]
    bias = np.zeros(1, np.int64) if layer.bias is None else layer.bias.astype(np.int64)
    offset = np.broadcast_to(bias + neuron.v0, channels).astype(np.int64)
    return np.broadcast_to(neuron.vth, channels).astype(np.int64), offset
