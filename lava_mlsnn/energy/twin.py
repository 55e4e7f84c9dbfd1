"""A network as plain torch layers, for tools that look for ``Conv2d`` and ``Linear``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lava_mlsnn.errors import DataError, UnsupportedLayerError
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
    need_spec,
)
from netx_export.spec.graph import order
from netx_export.spec.kinds import of_kind

__all__ = ["Gain", "Sends", "Twin"]


class Gain(torch.nn.Module):
    """An identity synapse: not a connection layer in NeuroBench's terms."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Times the gain of the channel."""
        assert isinstance(self.weight, torch.Tensor)
        return x * self.weight.reshape(-1, *(1 for _ in x.shape[2:]))


class Sends(torch.nn.Module):
    """What a population sends for its sums of one timestep; holds its state.

    ``H = V + a``, ``z = clip(floor(H / vth), 0, N)``, ``V = H - vth z``; a readout adds
    up, a relay passes on.
    """

    def __init__(self, layer: Population) -> None:
        super().__init__()
        self.spikes = isinstance(layer.neuron, MultiLevel)
        self.integrates = isinstance(layer.neuron, Readout) and layer.neuron.integrate
        if isinstance(layer.neuron, MultiLevel):
            self.levels = layer.neuron.levels
            self.register_buffer("vth", _tensor(layer.channels(layer.neuron.vth)))
            self.register_buffer("v0", _tensor(layer.channels(layer.neuron.v0)))
        self.state: torch.Tensor | None = None

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        """One timestep."""
        if not self.spikes:
            if self.integrates and self.state is not None:
                a = a + self.state
            self.state = a
            return a
        assert isinstance(self.vth, torch.Tensor)
        h = a + (self.v0 if self.state is None else self.state)
        z = torch.floor(h / self.vth).clamp(0, self.levels)
        self.state = h - self.vth * z
        return z


class Twin(torch.nn.Module):
    """The same integers from ``Conv2d``, ``Linear`` and :class:`Sends` in float64.

    Parameters
    ----------
    spec : NetworkSpec
        A network that leaves 24 bits nowhere (``netx_export.check_ranges``): the twin has
        no wrap.

    Raises
    ------
    UnsupportedLayerError
        For neurons of lava-dl.

    Notes
    -----
    Takes input payloads (N, C, H, W) or (N, F), static or with a last axis T, and gives
    the output (N, F) of the last timestep. Exact while sums stay below 2**53. Source: ours.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = need_spec(spec)
        self.synapses = torch.nn.ModuleDict()
        self.sends = torch.nn.ModuleDict()
        for index, layer in spec.populations:
            if type(layer.neuron) not in (MultiLevel, Readout):
                raise UnsupportedLayerError(
                    f"the torch twin has no {layer.neuron.text} neuron, only multi-level ones",
                    spec.label(index),
                )
            for k, synapse in enumerate(layer.synapses):
                self.synapses[f"{index}_{k}"] = of_kind(MODULES, synapse, "the torch twin")(synapse)
            if layer.bias is not None:
                self.register_buffer(f"bias_{index}", _tensor(layer.channels(layer.bias)))
            last = index == len(spec.layers) - 1
            if not last:
                self.sends[str(index)] = Sends(layer)
            else:  # class scores are no activation
                self.readout = _Output(layer)
        self.double().eval()

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Output of the last timestep."""
        static = len(self.spec.input.shape) + 1
        if x.dim() not in (static, static + 1) or x.shape[1:static] != self.spec.input.shape:
            raise DataError(
                f"payloads must have shape (N, {', '.join(map(str, self.spec.input.shape))}) or "
                f"that with a last axis T, got {tuple(x.shape)}"
            )
        for module in self.modules():
            if isinstance(module, Sends):
                module.state = None
        y = x
        for t in range(self.spec.timesteps):
            y = self._step((x if x.dim() == static else x[..., t]).double())
        return y

    def _step(self, x: torch.Tensor) -> torch.Tensor:
        values: dict[int, torch.Tensor] = {}
        last = len(self.spec.layers) - 1
        for index in order(self.spec.layers):
            layer = self.spec.layers[index]
            if isinstance(layer, Input):
                values[index] = x
            elif isinstance(layer, Flatten):
                values[index] = values[layer.source].flatten(1)
            else:
                total = getattr(self, f"bias_{index}", torch.zeros((), dtype=torch.float64))
                for k, synapse in enumerate(layer.synapses):
                    arm = self.synapses[f"{index}_{k}"](values[synapse.source])
                    total = total + torch.floor(arm * 2.0**synapse.weight_exp)
                sends = self.readout.sends if index == last else self.sends[str(index)]
                values[index] = sends.forward(total) if index == last else sends(total)
        return values[last]


class _Output:
    """Holds the output's readout outside of torch's tree, where tools would find it."""

    def __init__(self, layer: Population) -> None:
        self.sends = Sends(layer).double()


def _tensor(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _linear(synapse: Dense) -> torch.nn.Module:
    outputs, inputs = synapse.weight.shape
    dense = torch.nn.Linear(inputs, outputs, bias=False)
    dense.weight = torch.nn.Parameter(_tensor(synapse.weight), requires_grad=False)
    return dense


def _conv2d(synapse: Conv) -> torch.nn.Module:
    form = synapse.geometry
    conv = torch.nn.Conv2d(
        form.inner * form.groups,
        form.outer * form.groups,
        form.kernel,
        form.stride,
        form.padding,
        form.dilation,
        form.groups,
        bias=False,
    )
    conv.weight = torch.nn.Parameter(_tensor(synapse.weight), requires_grad=False)
    return conv


MODULES: dict[type, Callable[[Any], torch.nn.Module]] = {
    Dense: _linear,
    Conv: _conv2d,
    Identity: lambda synapse: Gain(_tensor(synapse.weight)),
}
