"""A network at T = 1 as QONNX, which FINN and hls4ml read: neurons are ``MultiThreshold``.

The node counts, per channel, how many thresholds its input reaches, which is the neuron:

    z = clip(floor((a + b + V0) / vth), 0, N) = #{k in 1..N : a >= k vth - V0 - b}

for every N, V0, vth and bias b, all of them whole numbers. Thresholds that no sum can reach
are left out, and those beyond 24 bits moved to 2**24 or -2**24, where float32 is exact and no
sum is. Types of tensors stand in the model as QONNX has them (``finn_datatype``).
Source: qonnx 1.0, ``custom_op/general/multithreshold.py``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from netx_export.errors import ConfigError, UnsupportedLayerError
from netx_export.file.atomic import as_path, write_atomic
from netx_export.interchange.operators import Layers, Tensor
from netx_export.spec import Input, MultiLevel, NetworkSpec, Population, Readout, need_spec
from netx_export.spec.checks import whole

__all__ = ["MOST_LEVELS", "export_qonnx", "qonnx_model"]

DOMAIN = "qonnx.custom_op.general"
MOST_LEVELS = 1 << 12  # thresholds of one channel
FAR = float(1 << 24)


def export_qonnx(spec: NetworkSpec, path: str | os.PathLike[str], *, batch: int = 1) -> Path:
    """Write a network at T = 1 as a QONNX model: whole or not at all, the same bytes every time.

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level, readout and relay neurons, T = 1.
    path : path
        The file.
    batch : int
        Samples at a time: shapes in QONNX are fixed.

    Returns
    -------
    Path
        The file. Input and output are called like their layers, float32 (batch, *shape) of
        whole numbers.

    Raises
    ------
    UnsupportedLayerError
        For T > 1, since a MultiThreshold has no state; for a synapse or neuron without an
        exact form.
    RangeError
        For the first layer that can leave 24 bits.
    ConfigError
        For a neuron of more than :data:`MOST_LEVELS` levels that can be reached, a path that
        cannot be written, or where the package onnx is missing.
    """
    return write_atomic(as_path(path), qonnx_model(spec, batch=batch))


def qonnx_model(spec: NetworkSpec, *, batch: int = 1) -> bytes:
    """The bytes of :func:`export_qonnx`."""
    need_spec(spec)
    if spec.timesteps > 1:
        raise UnsupportedLayerError(
            f"a MultiThreshold of QONNX keeps no state from one timestep to the next, but this "
            f"network has T = {spec.timesteps}; export it to ONNX, or train it with T = 1"
        )
    return _Thresholds(spec, whole(batch, "batch", 1, 1 << 20)).write()


class _Thresholds(Layers):
    """Neurons as counts of thresholds; samples as float32, of a fixed number."""

    form = "a QONNX model"
    domains: ClassVar[dict[str, int]] = {DOMAIN: 1}

    def __init__(self, spec: NetworkSpec, batch: int) -> None:
        super().__init__(spec)
        self.batch = batch
        self.types: dict[str, str] = {}

    def constant(self, values: Any, hint: str, dtype: type = np.float32) -> str:
        """As in the base, with the type of whole numbers."""
        name = super().constant(values, hint, dtype)
        found = np.asarray(values, np.float64)
        if dtype is np.float32 and found.size and np.all(found == np.floor(found)):
            self.types[name] = _datatype(int(found.min()), int(found.max()))
        return name

    def value(self, name: str, kind: int, shape: list[int]) -> Any:
        """A tensor of a fixed number of samples."""
        return self.onnx.helper.make_tensor_value_info(
            name, self.onnx.TensorProto.FLOAT, [self.batch, *shape]
        )

    def input(self, layer: Input) -> Tensor:
        """The payloads themselves."""
        self.types[layer.name] = _datatype(*layer.payload)
        return Tensor(layer.name, False)

    def output(self, index: int) -> Any:
        """The last layer's payloads, under its name."""
        layer = self.spec.layers[index]
        self.place = layer.name
        self.add("Identity", [layer.name], self.payloads[index].name)
        return self.value(layer.name, 0, list(layer.shape))

    def biased(self, layer: Population, name: str) -> str:
        """A neuron's bias is in its thresholds."""
        return name if isinstance(layer.neuron, MultiLevel) else super().biased(layer, name)

    def multilevel(self, layer: Population, total: Tensor, highest: int) -> Tensor:
        """One node."""
        neuron = layer.neuron
        assert isinstance(neuron, MultiLevel)
        vth = neuron.vth.astype(np.int64)
        most = max(min(neuron.levels, highest // int(vth.min())), 1)
        if most > MOST_LEVELS:
            raise ConfigError(
                f"a MultiThreshold holds every level by itself, {MOST_LEVELS} at most, but layer "
                f"{layer.name!r} can send {most}"
            )
        start = neuron.v0.astype(np.int64)
        start = start + (0 if layer.bias is None else layer.bias.astype(np.int64))
        size = np.broadcast_shapes(vth.shape, start.shape)
        first, pitch = np.broadcast_to(start, size), np.broadcast_to(vth, size)
        levels = np.arange(1, most + 1)
        thresholds = levels * pitch[:, None] - first[:, None]
        name = self.constant(thresholds.clip(-FAR, FAR), "thresholds")
        kind = _datatype(0, most)
        z = self.node("MultiThreshold", total.name, name, domain=DOMAIN, out_dtype=kind)
        self.types[z] = kind
        self.shapes.append(self.value(z, 0, list(layer.shape)))
        return Tensor(z, False)

    def readout(self, layer: Population, total: Tensor, highest: int) -> Tensor:
        """Its one sum."""
        assert isinstance(layer.neuron, Readout)
        return total

    def annotations(self) -> list[Any]:
        """What QONNX keeps of types."""
        entry, note = self.onnx.StringStringEntryProto, self.onnx.TensorAnnotation
        return [
            note(
                tensor_name=name,
                quant_parameter_tensor_names=[entry(key="finn_datatype", value=kind)],
            )
            for name, kind in self.types.items()
        ]


def _datatype(low: int, high: int) -> str:
    """The narrowest type of QONNX that holds whole numbers."""
    if (low, high) in ((0, 0), (0, 1)):
        return "BINARY"
    if low >= 0:
        return f"UINT{high.bit_length()}"
    return f"INT{max(high.bit_length(), (-low - 1).bit_length()) + 1}"
