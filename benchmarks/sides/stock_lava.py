"""The network's convolutions in stock Lava's own ProcessModel of ``Conv``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from netx_export.spec import Conv, Dense, Flatten, Identity, Input, MultiLevel

__all__ = ["network", "one_conv_in_lava"]


class _In:
    """A port that gives one message."""

    def __init__(self, message: np.ndarray) -> None:
        self.message = message

    def recv(self) -> np.ndarray:
        return self.message


class _Out:
    """A port that leads nowhere."""

    def send(self, message: np.ndarray) -> None:
        pass


def _to_lava(weight: np.ndarray) -> np.ndarray:
    """(O, I, kH, kW), correlated, to Lava's (O, kW, kH, I), convolved."""
    return np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1))


def _stock_conv(synapse: Conv, source: np.ndarray) -> tuple[np.ndarray, float]:
    """One timestep of the stock fixed-point model, and its seconds.

    The model's own ``run_spk`` with ports that pass arrays: no process, no channel and no
    scheduling is counted for stock Lava.
    """
    from lava.proc.conv.models import PyConvModelFixed

    model = PyConvModelFixed({})
    model.s_in = _In(source.transpose(2, 1, 0).astype(np.int32))
    model.a_out = _Out()
    model.a_buf = np.zeros(1, np.int32)
    model.weight = _to_lava(synapse.weight.astype(np.int32))
    model.kernel_size = np.array(synapse.weight.shape[:1:-1])
    for name in ("stride", "padding", "dilation"):
        setattr(model, name, np.array(getattr(synapse, name)[::-1]))
    model.groups = np.array([synapse.groups])
    model.num_message_bits = np.array([8])
    start = time.perf_counter()
    model.run_spk()
    seconds = time.perf_counter() - start
    return model.a_buf.transpose(2, 1, 0).astype(np.int64), seconds


def network(threads: int, spec: str, samples: str) -> dict:
    """Seconds of all convolutions for one timestep of one sample, and every layer's payload.

    Each convolution gets the payloads that the layers before it sent; neurons, shortcuts
    and the readout are computed here in NumPy and are not counted.
    """
    from netx_export import read

    net = read(Path(spec))
    values: dict[int, np.ndarray] = {}
    arrays: dict[str, np.ndarray] = {}
    parts: dict[str, float] = {}
    for index, layer in enumerate(net.layers):
        if isinstance(layer, Input):
            values[index] = np.load(samples)[0].astype(np.int64)
            continue
        if isinstance(layer, Flatten):
            values[index] = values[layer.source].ravel()
            continue
        total: Any = 0
        for k, synapse in enumerate(layer.synapses):
            source = values[synapse.source]
            if isinstance(synapse, Conv):
                a, parts[f"{layer.name}.{k}"] = _stock_conv(synapse, source)
            elif isinstance(synapse, Dense):
                a = synapse.weight.astype(np.int64) @ source
            else:
                assert isinstance(synapse, Identity)
                a = synapse.weight.astype(np.int64).reshape(-1, 1, 1) * source
            e = synapse.weight_exp
            total = total + (a << e if e >= 0 else a >> -e)
        if layer.bias is not None:
            total = total + layer.channels(layer.bias)
        if isinstance(layer.neuron, MultiLevel):
            h = total + layer.channels(layer.neuron.v0)
            total = (h // layer.channels(layer.neuron.vth)).clip(0, layer.neuron.levels)
        values[index] = total
        arrays[f"layer.{layer.name}"] = total[None]
    return {
        "seconds": [sum(parts.values())],
        "parts": parts,
        "arrays": {"output": values[len(net.layers) - 1][None], **arrays},
    }


def one_conv_in_lava(threads: int, spec: str, samples: str, steps: int) -> dict:
    """One convolution of the network in a real run of stock Lava, beside its model alone."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.conv.process import Conv as StockConv
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    from netx_export import read

    net = read(Path(spec))
    name, synapse = next(
        (p.name, s)
        for _, p in net.populations
        for s in p.synapses
        if isinstance(s, Conv) and s.source == 0
    )
    x = np.load(samples)[:steps].astype(np.int32)
    alone = [_stock_conv(synapse, x[i]) for i in range(steps)]
    source = Source(data=x.transpose(3, 2, 1, 0))
    conv = StockConv(
        weight=_to_lava(synapse.weight),
        input_shape=x.shape[:0:-1],
        stride=synapse.stride[::-1],
        padding=synapse.padding[::-1],
        dilation=synapse.dilation[::-1],
        groups=synapse.groups,
        num_message_bits=8,
    )
    sink = Sink(shape=conv.a_out.shape, buffer=steps + 1)
    source.s_out.connect(conv.s_in)
    conv.a_out.connect(sink.a_in)
    try:
        conv.run(condition=RunSteps(1), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        start = time.perf_counter()
        conv.run(condition=RunSteps(steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        seconds = (time.perf_counter() - start) / steps
        result = sink.data.get()
    finally:
        conv.stop()
    expected = np.stack([a.transpose(2, 1, 0) for a, _ in alone], axis=-1)
    return {
        "seconds": [seconds],
        "alone": float(np.median([s for _, s in alone])),
        "layer": name,
        "equal": bool(np.array_equal(result[..., 1:steps], expected[..., : steps - 1])),
    }
