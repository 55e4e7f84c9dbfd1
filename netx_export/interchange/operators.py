"""The layers of a network as standard ONNX operators, with the same integers in every one.

All numbers are float32, and all are exact: :func:`netx_export.check_ranges` proves that
no sum leaves 24 bits, a padded or silent source included, so no partial sum does, in
whatever order an engine adds. A neuron carries its state with one half more, and its
quotient is rounded down after a Relu::

    H' = V + a + bias + 1/2         z = min(floor(relu(H') / vth), N)      V = H' - vth * z

H' / vth then keeps 1 / (2 vth) away from every whole number, so that a relative error of
2**-22 changes no z while k * vth < 2**21 for the payloads k that can come: an engine may
multiply by the reciprocal instead of dividing. Where thresholds lie higher, z is corrected by
the remainder. The Relu changes no z either; without it, engines fold the division into the
weights of the convolution before it, which rounds them. Ours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netx_export.errors import ConfigError, at
from netx_export.file.values import printable
from netx_export.file.writer import provenance_json
from netx_export.interchange.graph import Graph
from netx_export.spec import (
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    Shape,
    Synapse,
    need_spec,
)
from netx_export.spec.graph import order
from netx_export.spec.kernels import Pair
from netx_export.spec.kinds import of_kind
from netx_export.spec.ranges import check_ranges

__all__ = ["Layers", "Tensor"]

DIVIDES = 1 << 21  # see the module


@dataclass(frozen=True)
class Tensor:
    """float32, (T * N, *shape) with the timesteps outside, or (N, *shape) for all of them."""

    name: str
    timed: bool


class Layers(Graph):
    """The payloads of every layer.

    Parameters
    ----------
    spec, layers, timed, encode, state
        As for :func:`netx_export.interchange.onnx.export_onnx`.
    """

    form = "an ONNX model"  # in errors

    def __init__(
        self,
        spec: NetworkSpec,
        layers: Sequence[str] = (),
        timed: bool = False,
        encode: bool = False,
        state: bool = False,
    ) -> None:
        need_spec(spec)
        self._check_layers(spec)
        self.highest = {found.index: found.state[1] for found in check_ranges(spec)}
        names = {p.name: i for i, p in spec.populations}
        for name in layers:
            if not isinstance(name, str) or name not in names:
                raise ConfigError(f"no layer is called {name!r}; there are {', '.join(names)}")
        super().__init__(layer.name for layer in spec.layers)
        wanted = {names[name] for name in layers} | {len(spec.layers) - 1}
        self.wanted = sorted(wanted, reverse=True)
        self.spec, self.encode, self.state = spec, encode, state
        self.steps = 1 if state else spec.timesteps
        self.timed = timed and self.steps > 1
        self.payloads: dict[int, Tensor] = {}
        self.enters: list[Any] = []  # states of the timestep before, and after it
        self.leaves: list[Any] = []
        self.states: dict[str, str] = {}

    def _check_layers(self, spec: NetworkSpec) -> None:
        for index, layer in enumerate(spec.layers):
            neuron = None if isinstance(layer, Flatten) else layer.neuron
            with at(spec.label(index)):
                printable("name", layer.name)
                if neuron is not None:
                    of_kind(NEURONS, neuron, self.form)
                for synapse in layer.synapses if isinstance(layer, Population) else ():
                    of_kind(SYNAPSES, synapse, self.form)

    def write(self) -> bytes:
        """The model."""
        for index in order(self.spec.layers):
            self.layer(index)
        return self.finish([self.output(index) for index in self.wanted])

    # -- parts --------------------------------------------------------------------
    def channels(self, values: np.ndarray, hint: str, shape: Shape) -> str:
        """Numbers per channel."""
        return self.constant(values.reshape(-1, *[1] * (len(shape) - 1)), hint)

    def in_turn(self, tensor: Tensor) -> list[str]:
        """The payloads of each timestep, (N, *shape)."""
        if not tensor.timed:
            return [tensor.name] * self.steps
        parts = [self.fresh(f"t{t}") for t in range(self.steps)]
        self.add("Split", parts, tensor.name, axis=0)
        return parts

    def joined(self, parts: list[str]) -> Tensor:
        """The reverse of :meth:`in_turn`."""
        if self.steps == 1:
            return Tensor(parts[0], False)
        return Tensor(self.node("Concat", *parts, axis=0), True)

    # -- ends ---------------------------------------------------------------------
    def input(self, layer: Input) -> Tensor:
        """Samples as they enter, as payloads."""
        x = layer.name
        if self.encode:
            number = {k: self.constant(v, k, np.float64) for k, v in _encoding(layer).items()}
            x = self.node("Add", self.node("Mul", x, number["gain"]), number["half"])
            x = self.node("Clip", self.node("Floor", x), number["low"], number["high"])
        x = self.node("Cast", x, to=self.onnx.TensorProto.FLOAT)
        if self.timed:
            axes = len(layer.shape) + 1
            x = self.node("Transpose", x, perm=[axes, *range(axes)])
            x = self.node("Reshape", x, self.constant([-1, *layer.shape], "shape", np.int64))
        return Tensor(x, self.timed)

    def output(self, index: int) -> Any:
        """Payloads of a layer to the output that has its name."""
        layer = self.spec.layers[index]
        self.place = layer.name
        x, shape = self.payloads[index], layer.shape
        name, time = x.name, [self.steps] if self.steps > 1 else []
        if time:
            name = self.joined(self.in_turn(x)).name if not x.timed else name
            sizes = self.constant([self.steps, -1, *shape], "shape", np.int64)
            name = self.node("Reshape", name, sizes)
            name = self.node("Transpose", name, perm=[*range(1, len(shape) + 2), 0])
        self.add("Cast", [layer.name], name, to=self.onnx.TensorProto.INT32)
        return self.value(layer.name, self.onnx.TensorProto.INT32, [*shape, *time])

    def finish(self, outputs: list[Any]) -> bytes:
        """The bytes, once all layers are there."""
        spec, proto = self.spec, self.onnx.TensorProto
        shape = [*spec.input.shape, *([self.steps] if self.timed else [])]
        enters = self.value(spec.input.name, proto.DOUBLE if self.encode else proto.INT32, shape)
        return self.model([enters, *self.enters], [*outputs, *self.leaves], self.facts())

    def facts(self) -> dict[str, str]:
        """The model's metadata."""
        spec = self.spec
        low, high = spec.input.payload
        facts: dict[str, Any] = {
            "timesteps": spec.timesteps,
            "gain": spec.input.gain,
            "low": low,
            "levels": high,
            "class_names": spec.class_names,
        }
        if self.state:
            facts["states"] = self.states
        texts = {name: json.dumps(value) for name, value in facts.items()}
        texts["provenance"] = provenance_json(spec.provenance)
        return texts

    def before(self, shape: Shape) -> str:
        """What the timestep before left, float32; 0 in the first one."""
        name, int32 = self.fresh("v"), self.onnx.TensorProto.INT32
        self.enters.append(self.value(name, int32, list(shape)))
        return self.node("Cast", name, to=self.onnx.TensorProto.FLOAT)

    def after(self, v: str, shape: Shape) -> None:
        """What this timestep leaves to the next."""
        name, int32 = self.fresh("v_next"), self.onnx.TensorProto.INT32
        self.add("Cast", [name], v, to=int32)
        self.leaves.append(self.value(name, int32, list(shape)))
        self.states[self.enters[-1].name] = name

    # -- layers -------------------------------------------------------------------
    def layer(self, index: int) -> None:
        """Add one layer."""
        layer = self.spec.layers[index]
        self.place = layer.name
        if isinstance(layer, Input):
            self.payloads[index] = self.input(layer)
        elif isinstance(layer, Flatten):
            x = self.payloads[layer.source]
            self.payloads[index] = Tensor(self.node("Flatten", x.name, axis=1), x.timed)
        else:
            total = self.total(layer)
            fires = getattr(self, of_kind(NEURONS, layer.neuron, self.form))
            self.payloads[index] = fires(layer, total, self.highest[index])

    def total(self, layer: Population) -> Tensor:
        """All synapses and the bias."""
        sums = [self.synapse(s, layer.shape) for s in layer.synapses]
        timed = any(s.timed for s in sums)
        sums = [self.joined(self.in_turn(s)) if timed and not s.timed else s for s in sums]
        name = sums[0].name
        for other in sums[1:]:
            name = self.node("Add", name, other.name)
        return Tensor(self.biased(layer, name), timed)

    def biased(self, layer: Population, name: str) -> str:
        """A sum with the layer's bias."""
        if layer.bias is None:
            return name
        return self.node("Add", name, self.channels(layer.bias, "bias", layer.shape))

    def synapse(self, synapse: Synapse, shape: Shape) -> Tensor:
        """A synapse with its exponent."""
        x, exponent = self.payloads[synapse.source], synapse.weight_exp
        sums = getattr(self, of_kind(SYNAPSES, synapse, self.form))
        name = sums(x.name, synapse, synapse.weight * 2.0 ** max(exponent, 0), shape)
        if exponent < 0:
            scaled = self.node("Mul", name, self.constant(2.0**exponent, "exponent"))
            name = self.node("Floor", scaled)
        return Tensor(name, x.timed)

    def window(self, kind: str, x: str, synapse: Synapse, weight: np.ndarray, end: Pair) -> str:
        """A convolution of either kind."""
        form = synapse.geometry
        return self.node(
            kind,
            x,
            self.constant(weight, "weight"),
            kernel_shape=list(form.kernel),
            strides=list(form.stride),
            pads=[*form.padding, *end],
            dilations=list(form.dilation),
            group=form.groups,
        )

    def conv(self, x: str, synapse: Synapse, weight: np.ndarray, shape: Shape) -> str:
        """Cross-correlation."""
        return self.window("Conv", x, synapse, weight, synapse.geometry.padding)

    def conv_transpose(self, x: str, synapse: Synapse, weight: np.ndarray, shape: Shape) -> str:
        """Its transpose."""
        # engines differ where output_padding is not below the stride: less is cut off instead
        form = synapse.geometry
        ends = zip(form.padding, form.output_padding, strict=True)
        cut = [padding - extra for padding, extra in ends]
        name = self.window("ConvTranspose", x, synapse, weight, (max(cut[0], 0), max(cut[1], 0)))
        if min(cut) >= 0:
            return name
        zeros = [0] * 6 + [max(-n, 0) for n in cut]
        return self.node("Pad", name, self.constant(zeros, "pads", np.int64))

    def dense(self, x: str, synapse: Synapse, weight: np.ndarray, shape: Shape) -> str:
        """All to all."""
        return self.node("MatMul", x, self.constant(weight.T, "weight"))

    def identity(self, x: str, synapse: Synapse, weight: np.ndarray, shape: Shape) -> str:
        """One to one."""
        if np.all(weight == 1):
            return x
        return self.node("Mul", x, self.channels(weight, "weight", shape))

    def multilevel(self, layer: Population, total: Tensor, highest: int) -> Tensor:
        """The neuron, timestep after timestep."""
        neuron = layer.neuron
        assert isinstance(neuron, MultiLevel)
        vth = self.channels(neuron.vth, "vth", layer.shape)
        v = self.channels(neuron.v0 + 0.5, "v0", layer.shape)
        top = self.constant(0, "lowest"), self.constant(neuron.levels, "levels")
        exact = min(highest, neuron.levels * int(neuron.vth.max())) < DIVIDES
        start = v
        if self.state:
            v = self.node("Add", v, self.before(layer.shape))
        spikes: list[str] = []
        h = z = ""
        for a in self.in_turn(total):
            if z:
                v = self.node("Sub", h, self.node("Mul", vth, z))
            h = self.node("Add", a, v)
            high = self.node("Relu", h)
            z = self.node("Clip", self.node("Floor", self.node("Div", high, vth)), *top)
            if not exact:
                z = self.corrected(z, high, vth, top)
            spikes.append(z)
        if self.state:
            v = self.node("Sub", h, self.node("Mul", vth, z))
            self.after(self.node("Sub", v, start), layer.shape)
        return self.joined(spikes)

    def corrected(self, z: str, h: str, vth: str, top: tuple[str, str]) -> str:
        """The payload, from one that is off by one at most."""
        rest = self.node("Sub", h, self.node("Mul", vth, z))
        float32 = self.onnx.TensorProto.FLOAT
        more = self.node("Cast", self.node("Greater", rest, vth), to=float32)
        less = self.node("Cast", self.node("Less", rest, top[0]), to=float32)
        return self.node("Clip", self.node("Add", z, self.node("Sub", more, less)), *top)

    def readout(self, layer: Population, total: Tensor, highest: int) -> Tensor:
        """Sums, over the timesteps or not."""
        assert isinstance(layer.neuron, Readout)
        if not layer.neuron.integrate:
            return total
        if self.state:
            name = self.node("Add", total.name, self.before(layer.shape))
            self.after(name, layer.shape)
            return Tensor(name, False)
        sums: list[str] = []
        for a in self.in_turn(total):
            sums.append(self.node("Add", sums[-1], a) if sums else a)
        return self.joined(sums)


SYNAPSES = {Conv: "conv", ConvTranspose: "conv_transpose", Dense: "dense", Identity: "identity"}
NEURONS = {
    MultiLevel: "multilevel",
    Readout: "readout",
}  # methods, so that a format can replace one


def _encoding(layer: Input) -> dict[str, float]:
    low, high = layer.payload
    return {"gain": layer.gain, "half": 0.5, "low": low, "high": high}
