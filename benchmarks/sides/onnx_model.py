"""A T = 1 network as an int8 QDQ model for onnxruntime, with equal outputs.

Payloads are uint8 with scale 1 and zero point 0, even weights are halved into int8. A
convolution, its bias and the threshold become one QLinearConv (:mod:`onnx_lines`); a
``Clip`` or ``Min`` on uint8 between Q and DQ holds payloads to N and leaves it fused. An
identity shortcut adds whole numbers of thresholds, so it is a QLinearAdd after the floor.
A projection joins the main convolution: its source, strided, becomes further channels.
What fits neither is computed in float with a floor: slower, and still equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx  # type: ignore[import-not-found]
from onnx import TensorProto, helper, numpy_helper

from benchmarks.sides.onnx_lines import line
from netx_export.spec import Conv, Dense, Flatten, Identity, Input, MultiLevel, NetworkSpec
from netx_export.spec import Population as PopulationSpec

__all__ = ["LIMITS", "build"]

LIMITS = ("clip", "none")
SHIFTED = 128  # zero point of sums that may be negative; at most 255 minus the levels


def build(spec: NetworkSpec, limit: str) -> tuple[bytes, list[str]]:
    """The model, and the names of layers that had to be computed in float.

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level neurons at T = 1 with unsigned inputs.
    limit : {"clip", "none"}
        How payloads are held to N; ``none`` is the usual model of a ReLU network, whose
        payloads go up to 255 and whose outputs therefore differ.
    """
    return _Writer(spec, limit).model()


class _Writer:
    """Nodes and constants so far, and the tensor that holds each layer."""

    def __init__(self, spec: NetworkSpec, limit: str) -> None:
        if limit not in LIMITS:
            raise ValueError(f"limit must be one of {LIMITS}, got {limit!r}")
        self.spec = spec
        self.limit = limit
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.tensors: dict[int, str] = {0: "x"}
        self.factors: dict[int, float] = {}  # what a pooled sum of a layer is worth
        self.in_float: list[str] = []

    def model(self) -> tuple[bytes, list[str]]:
        for index, layer in enumerate(self.spec.layers):
            if isinstance(layer, Input):
                continue
            if isinstance(layer, Flatten):
                self.tensors[index] = self.node("Flatten", self.tensors[layer.source])
                self.factors[index] = self.factors.get(layer.source, 1.0)
            elif isinstance(layer.neuron, MultiLevel):
                self.tensors[index] = self.spiking(layer, layer.neuron)
            else:
                self.tensors[index] = self.readout(index, layer)
        output = self.nodes[-1].output[0]
        graph = helper.make_graph(
            self.nodes,
            "network",
            [self.value("x", TensorProto.UINT8, self.spec.input.shape)],
            [self.value(output, TensorProto.FLOAT, self.spec.output.shape)],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        onnx.checker.check_model(model)
        return model.SerializeToString(), self.in_float

    # -- small parts --------------------------------------------------------------
    @staticmethod
    def value(name: str, kind: int, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, ["N", *shape])

    def constant(self, array: Any) -> str:
        name = f"constant{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def quantised(self, name: str, scale: float = 1.0) -> str:
        constants = self.constant(np.float32(scale)), self.constant(np.uint8(0))
        return self.node("QuantizeLinear", name, *constants)

    def real(self, name: str, zero: int = 0) -> str:
        constants = self.constant(np.float32(1)), self.constant(np.uint8(zero))
        return self.node("DequantizeLinear", name, *constants)

    def real_parameter(self, values: np.ndarray, scale: np.ndarray) -> str:
        zeros = self.constant(np.zeros(len(scale), values.dtype))
        names = self.constant(values), self.constant(scale), zeros
        return self.node("DequantizeLinear", *names, axis=0)

    def convolution(self, synapse: Conv, *inputs: str) -> str:
        return self.node(
            "Conv",
            *inputs,
            strides=list(synapse.stride),
            pads=[*synapse.padding, *synapse.padding],
            dilations=list(synapse.dilation),
            group=synapse.groups,
        )

    # -- layers -------------------------------------------------------------------
    def spiking(self, layer: PopulationSpec, neuron: MultiLevel) -> str:
        rest = layer.synapses[1:]
        vth, offset = _integers(layer, neuron)
        merged = self.merged(layer)
        shortcut = rest[0] if rest and isinstance(rest[0], Identity) else None
        fused = None
        if merged is not None:
            low, shift = 1, 0
            if shortcut is not None:  # the sum before it may be negative
                low, shift = 1 - self.largest(shortcut.source), SHIFTED
            unit = 2 << merged[1].weight_exp
            fused = line(vth, offset, unit, np.arange(low, neuron.levels + 1), shift)
        if merged is None or fused is None:
            self.in_float.append(layer.name)
            return self.in_floats(layer, neuron, vth, offset)
        source, synapse = merged
        scale, bias = fused
        weight = self.real_parameter((synapse.weight // 2).astype(np.int8), scale)
        sums = self.convolution(
            synapse, self.real(source), weight, self.real_parameter(bias, scale)
        )
        if shortcut is not None:
            whole = self.real(self.quantised(sums), SHIFTED)  # the bias holds the shift
            sums = self.node("Add", whole, self.real(self.tensors[shortcut.source]))
        return self.limited(self.quantised(sums), neuron.levels)

    def merged(self, layer: PopulationSpec) -> tuple[str, Conv] | None:
        """The source tensor and one convolution that holds all but an exact shortcut."""
        first, *rest = layer.synapses
        if not isinstance(first, Conv) or first.weight_exp < 0 or len(rest) > 1:
            return None
        if (first.weight % 2).any():
            return None
        if not rest:
            return self.tensors[first.source], first
        other = rest[0]
        assert isinstance(layer.neuron, MultiLevel)
        if isinstance(other, Identity):
            gain = other.weight.astype(np.int64) << max(other.weight_exp, 0)
            exact = other.weight_exp >= 0 and np.array_equal(
                np.broadcast_to(layer.neuron.vth, gain.shape), gain
            )
            return (self.tensors[first.source], first) if exact else None
        return self.projection(first, other)

    def projection(self, first: Conv, other: Any) -> tuple[str, Conv] | None:
        """Both convolutions as one over the joined channels of their sources."""
        kernel = first.weight.shape[2:]
        centred = (
            isinstance(other, Conv)
            and first.stride == first.dilation == other.dilation == (1, 1)
            and first.groups == other.groups == 1
            and other.weight.shape[2:] == (1, 1)
            and other.padding == (0, 0)
            and all(k == 2 * p + 1 for k, p in zip(kernel, first.padding, strict=True))
            and other.weight_exp >= first.weight_exp
        )
        if not centred:
            return None
        weight = other.weight.astype(np.int64) << (other.weight_exp - first.weight_exp)
        if weight.min() < -256 or weight.max() > 254 or (weight % 2).any():
            return None
        wide = np.zeros((*weight.shape[:2], *kernel), np.int64)
        wide[:, :, kernel[0] // 2, kernel[1] // 2] = weight[:, :, 0, 0]
        source = self.tensors[other.source]
        if other.stride != (1, 1):
            steps = [np.array(v, np.int64) for v in ([0, 0], [2**31] * 2, [2, 3], other.stride)]
            source = self.node("Slice", source, *(self.constant(v) for v in steps))
        joined = self.node("Concat", self.tensors[first.source], source, axis=1)
        both = np.concatenate([first.weight, wide], axis=1)
        return joined, Conv(0, both, first.weight_exp, first.stride, first.padding)

    def limited(self, name: str, levels: int) -> str:
        if self.limit == "none":
            return name
        bounds = self.constant(np.uint8(0)), self.constant(np.uint8(levels))
        return self.node("Clip", name, *bounds)

    def in_floats(
        self, layer: PopulationSpec, neuron: MultiLevel, vth: np.ndarray, offset: np.ndarray
    ) -> str:
        total = ""
        for synapse in layer.synapses:
            source = self.real(self.tensors[synapse.source])
            weight = (synapse.weight * 2.0**synapse.weight_exp).astype(np.float32)
            if isinstance(synapse, Conv):
                y = self.convolution(synapse, source, self.constant(weight))
            elif isinstance(synapse, Dense):
                y = self.node("MatMul", source, self.constant(weight.T))
            else:
                y = self.node("Mul", source, self.constant(self.per_channel(layer, weight)))
            total = self.node("Add", total, y) if total else y
        middle = self.per_channel(layer, (offset + 0.5).astype(np.float32))
        inverse = self.per_channel(layer, (1.0 / vth).astype(np.float32))
        total = self.node("Add", total, self.constant(middle))
        total = self.node("Floor", self.node("Mul", total, self.constant(inverse)))
        return self.limited(self.quantised(total), neuron.levels)

    def readout(self, index: int, layer: PopulationSpec) -> str:
        (synapse,) = layer.synapses
        source = self.tensors[synapse.source]
        if isinstance(synapse, Dense):
            worth = self.factors.get(synapse.source, 1.0) * 2.0**synapse.weight_exp
            weight = self.constant((synapse.weight.T * worth).astype(np.float32))
            scores = self.node("MatMul", self.real(source), weight)
            if layer.bias is None:
                return scores
            return self.node("Add", scores, self.constant(layer.bias.astype(np.float32)))
        shape = self.spec.layers[synapse.source].shape
        area = math.prod(shape[1:])
        gain = synapse.weight.ravel()[0]
        whole = isinstance(synapse, Conv) and synapse.weight.shape[2:] == shape[1:]
        if not (whole and (synapse.weight == gain).all() and layer.bias is None):
            raise ValueError(f"{layer.name}: only a global sum pool or a dense readout is written")
        if area * self.largest(synapse.source) > 255:
            raise ValueError(f"{layer.name}: its sums do not fit uint8")
        self.factors[index] = float(gain) * 2.0**synapse.weight_exp
        pooled = self.node("GlobalAveragePool", self.real(source))
        return self.quantised(pooled, scale=1 / area)  # read with scale 1: the sum

    def largest(self, index: int) -> int:
        layer = self.spec.layers[index]
        assert not isinstance(layer, Flatten)
        return int(layer.payload[1])

    @staticmethod
    def per_channel(layer: PopulationSpec, values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, *[1] * (len(layer.shape) - 1))


def _integers(layer: PopulationSpec, neuron: MultiLevel) -> tuple[np.ndarray, np.ndarray]:
    """Threshold, and bias plus start value, per channel."""
    channels = layer.shape[0]
    bias = np.zeros(1, np.int64) if layer.bias is None else layer.bias.astype(np.int64)
    offset = np.broadcast_to(bias + neuron.v0, channels).astype(np.int64)
    return np.broadcast_to(neuron.vth, channels).astype(np.int64), offset
