"""The same network in torch fp32: what a user of torch would run.

Weights are divided by the threshold and half a step is added to the bias, so a layer is a
convolution, a floor and a clamp: no more than a ReLU network has, and the same integers
because no sum comes close to a threshold: with whole sums h and thresholds vth,
``floor(h / vth) == floor((h + 1/2) / vth)`` and the latter is at least 1/(2 vth) off.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.sides.timing import batches, timed
from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Synapse,
)

__all__ = ["TorchNetwork", "memory", "run", "save"]


class TorchNetwork(torch.nn.Module):
    """The forward of a T = 1 network; built from a spec or from its own saved layers."""

    def __init__(self, layers: list[dict[str, Any]]) -> None:
        super().__init__()
        self.layers = layers
        for index, layer in enumerate(layers):
            for k, synapse in enumerate(layer.get("synapses", ())):
                for name in ("weight", "bias"):
                    if synapse.get(name) is not None:
                        self.register_buffer(f"{name}{index}_{k}", synapse.pop(name))

    def channels_last(self) -> TorchNetwork:
        """Convolution weights in the layout that fits channels_last inputs."""
        for name, tensor in self.named_buffers():
            if tensor.dim() == 4:
                setattr(self, name, tensor.contiguous(memory_format=torch.channels_last))
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (N, F)."""
        values = {0: x}
        for index, layer in enumerate(self.layers):
            if layer["kind"] == "flatten":
                values[index] = values[layer["source"]].flatten(1)
            elif layer["kind"] == "population":
                values[index] = self._population(index, layer, values)
            for source in layer["dead"]:
                del values[source]
        return values[len(self.layers) - 1]

    def _population(
        self, index: int, layer: dict[str, Any], values: dict[int, torch.Tensor]
    ) -> torch.Tensor:
        total: torch.Tensor | None = None
        for k, synapse in enumerate(layer["synapses"]):
            source = values[synapse["source"]]
            weight: Any = getattr(self, f"weight{index}_{k}", None)
            bias = getattr(self, f"bias{index}_{k}", None)
            if synapse["kind"] == "conv":
                y = F.conv2d(source, weight, bias, *synapse["geometry"])
            elif synapse["kind"] == "pool":
                y = F.avg_pool2d(source, synapse["window"], synapse["stride"], divisor_override=1)
            elif synapse["kind"] == "dense":
                y = F.linear(source, weight, bias)
            else:
                y = source if weight is None else source * weight
            total = y if total is None else total.add_(y)
        assert total is not None
        if layer["levels"]:
            total = total.floor_().clamp_(0, layer["levels"])
        return total


def layers_of(spec: NetworkSpec) -> list[dict[str, Any]]:
    """What :class:`TorchNetwork` is built from."""
    last_use = {s: i for i, layer in enumerate(spec.layers) for s in layer.sources}
    layers: list[dict[str, Any]] = []
    for index, layer in enumerate(spec.layers):
        dead = [s for s, user in last_use.items() if user == index]
        if isinstance(layer, Input):
            layers.append({"kind": "input", "dead": dead})
        elif isinstance(layer, Flatten):
            layers.append({"kind": "flatten", "source": layer.source, "dead": dead})
        else:
            levels, unit, bias = 0, np.ones(layer.shape[0]), np.zeros(layer.shape[0])
            if layer.bias is not None:
                bias = bias + layer.bias
            if isinstance(layer.neuron, MultiLevel):
                levels, unit = layer.neuron.levels, unit * layer.neuron.vth
                bias = bias + layer.neuron.v0 + 0.5
            synapses = [_synapse(s, unit) for s in layer.synapses]
            if bias.any():
                synapses[0]["bias"] = torch.tensor(bias / unit, dtype=torch.float32)
            layers.append(
                {"kind": "population", "levels": levels, "synapses": synapses, "dead": dead}
            )
    return layers


def _synapse(synapse: Synapse, unit: np.ndarray) -> dict[str, Any]:
    weight = synapse.weight * 2.0**synapse.weight_exp
    weight = weight / unit.reshape(-1, *[1] * (weight.ndim - 1))
    tensor = torch.tensor(weight, dtype=torch.float32)
    entry: dict[str, Any] = {"source": synapse.source}
    if isinstance(synapse, Conv):
        plain = synapse.padding == (0, 0) and synapse.dilation == (1, 1)
        if synapse.groups == weight.shape[0] and plain and (weight == 1).all():
            return {**entry, "kind": "pool", "window": weight.shape[2:], "stride": synapse.stride}
        geometry = (synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
        return {**entry, "kind": "conv", "geometry": geometry, "weight": tensor}
    if isinstance(synapse, Dense):
        return {**entry, "kind": "dense", "weight": tensor}
    if not isinstance(synapse, Identity):
        raise TypeError(f"no torch layer for {type(synapse).__name__}")
    ones = bool((weight == 1).all())  # a shortcut into the barrier: weight = threshold
    return {
        **entry,
        "kind": "identity",
        "weight": None if ones else tensor.reshape(-1, 1, 1),
    }


def _samples(samples: str, count: int, channels_last: bool) -> torch.Tensor:
    x = torch.from_numpy(np.load(samples)[:count]).to(torch.float32)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


def run(
    threads: int,
    spec: str,
    samples: str,
    count: int,
    batch: int,
    passes: int,
    channels_last: bool,
) -> dict:
    """Seconds per sample (batch 1: one call each), and the scores of all samples."""
    from netx_export import read

    torch.set_num_threads(threads)
    network = TorchNetwork(layers_of(read(Path(spec)))).eval()
    if channels_last:
        network.channels_last()
    x = _samples(samples, count, channels_last)
    parts = [x[s] for s in batches(count, batch)]
    with torch.inference_mode():
        scores = torch.cat([network(part) for part in parts]).numpy()
        if batch == 1:
            seconds = []
            for _ in range(passes):
                for part in parts:
                    start = time.perf_counter()
                    network(part)
                    seconds.append(time.perf_counter() - start)
        else:
            times = timed(lambda: [network(part) for part in parts], passes, warmup=0)
            seconds = [value / count for value in times]
    return {"seconds": seconds, "arrays": {"output": scores}}


def save(threads: int, path: str, spec: str) -> dict:
    """Save the network as torch users do, so that loading it costs what it costs them."""
    from netx_export import read

    torch.save(layers_of(read(Path(spec))), path)
    return {"seconds": []}


def memory(
    threads: int, model: str, samples: str, count: int, batch: int, channels_last: bool
) -> dict:
    """Bytes that loading the saved network and running the samples add at their peak."""
    from benchmarks.sides.memory import Peak

    torch.set_num_threads(threads)
    raw = np.load(samples)[:count]
    with Peak() as peak, torch.inference_mode():
        network = TorchNetwork(torch.load(model)).eval()
        if channels_last:
            network.channels_last()
        scores = []
        for part in batches(count, batch):
            x = torch.from_numpy(raw[part]).to(torch.float32)
            if channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            scores.append(network(x))
        output = torch.cat(scores).numpy()
    return {"seconds": [peak.added], "total": peak.total, "arrays": {"output": output}}
