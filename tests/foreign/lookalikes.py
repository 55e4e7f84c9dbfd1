"""Small classes under the names of SpikingJelly, snnTorch and sinabs, for where they are not.

Each computes what the library's own computes in float32, written from its documented formula.
"""

from __future__ import annotations

import importlib.util
import math
from types import ModuleType, SimpleNamespace

import torch
from torch import nn


class MultiLevelSpikeCount:
    spiking = True

    def __init__(self, max_spike_count):
        self.max_spike_count = max_spike_count


class BaseNode(nn.Module):
    def __init__(self, v_threshold=1.0, v_reset=0.0, step_mode="s", surrogate_function=None):
        super().__init__()
        self.v_threshold, self.v_reset, self.step_mode = v_threshold, v_reset, step_mode
        self.surrogate_function = surrogate_function
        self.v = 0.0

    def reset(self):
        self.v = 0.0

    def neuronal_fire(self):
        return (self.v >= self.v_threshold).float()

    def single_step_forward(self, x):
        self.v = self.v * self.keep + x
        z = self.neuronal_fire()
        hard = (1 - z) * self.v + z * (self.v_reset or 0.0)
        self.v = self.v - z * self.v_threshold if self.v_reset is None else hard
        return z

    def forward(self, x):
        if self.step_mode == "s":
            return self.single_step_forward(x)
        return torch.stack([self.single_step_forward(part) for part in x])


class IFNode(BaseNode):
    keep = 1.0


class LIFNode(BaseNode):
    def __init__(self, tau=2.0, **options):
        super().__init__(**options)
        self.tau, self.keep = tau, 1 - 1 / tau


class ILIFNode(LIFNode):
    def __init__(self, tau=4 / 3, **options):
        super().__init__(tau, v_reset=None, **options)

    def neuronal_fire(self):
        most = self.surrogate_function.max_spike_count
        return torch.round(torch.clamp(self.v / self.v_threshold, 0, most))


class SpikingNeuron(nn.Module):
    pass


class Leaky(SpikingNeuron):
    def __init__(
        self,
        beta,
        threshold=1.0,
        init_hidden=False,
        reset_mechanism="subtract",
        output=False,
        reset_delay=True,
        inhibition=False,
        graded_spikes_factor=1.0,
    ):
        super().__init__()
        self.beta, self.reset_mechanism = torch.as_tensor(beta), reset_mechanism
        self.register_buffer("threshold", torch.as_tensor(threshold))
        self.reset_mechanism_val = torch.as_tensor(
            ["subtract", "zero", "none"].index(reset_mechanism)
        )
        self.init_hidden, self.output, self.reset_delay = init_hidden, output, reset_delay
        self.inhibition, self.state_quant = inhibition, False
        self.graded_spikes_factor = torch.as_tensor(graded_spikes_factor)
        self.mem = torch.zeros(0)

    def reset_mem(self):
        self.mem = torch.zeros(0)
        return self.mem

    init_leaky = reset_mem

    def forward(self, x, mem=None):
        self.mem = self.mem if mem is None else mem
        if self.mem.shape != x.shape:
            self.mem = torch.zeros_like(x)
        late = (self.mem > self.threshold).float()  # of the timestep before
        self.mem = self.beta * self.mem + x - late * self.threshold
        spikes = (self.mem > self.threshold).float() * self.graded_spikes_factor
        return spikes if self.init_hidden and not self.output else (spikes, self.mem)


class MultiSpike:
    pass


class SingleSpike:
    pass


class MaxSpike:
    def __init__(self, max_num_spikes_per_bin=None):
        self.max_num_spikes_per_bin = max_num_spikes_per_bin


class MembraneSubtract:
    subtract_value = None


class MembraneReset:
    pass


class StatefulLayer(nn.Module):
    pass


class IAF(StatefulLayer):
    def __init__(
        self,
        spike_threshold=None,
        spike_fn=MultiSpike,
        reset_fn=None,
        tau_syn=None,
        min_v_mem=None,
    ):
        super().__init__()
        start = torch.tensor(1.0) if spike_threshold is None else spike_threshold
        self.spike_threshold = nn.Parameter(start, requires_grad=False)
        self.spike_fn, self.reset_fn = spike_fn, reset_fn or MembraneSubtract()
        self.tau_syn, self.min_v_mem = tau_syn, min_v_mem
        self.v_mem = 0.0

    def reset_states(self):
        self.v_mem = 0.0

    def forward(self, x):
        sent = []
        for part in x.unbind(1):
            v = self.v_mem + part
            z = (v > 0) * torch.div(v, self.spike_threshold, rounding_mode="trunc")
            if self.spike_fn is SingleSpike:
                z = (v >= self.spike_threshold).float()
            z = torch.clamp(
                z, max=getattr(self.spike_fn, "max_num_spikes_per_bin", None) or math.inf
            )
            self.v_mem = v - z * self.spike_threshold
            sent.append(z)
        return torch.stack(sent, 1)


class IAFSqueeze(IAF):
    def __init__(self, batch_size, **options):
        super().__init__(**options)
        self.batch_size, self.num_timesteps = batch_size, -1

    def squeeze_forward(self, x):
        return super().forward(x.unflatten(0, (self.batch_size, -1))).flatten(0, 1)

    def forward(self, x):
        return self.squeeze_forward(x)


HOMES = {
    "spikingjelly.activation_based.neuron": (BaseNode, IFNode, LIFNode, ILIFNode),
    "spikingjelly.activation_based.surrogate": (MultiLevelSpikeCount,),
    "snntorch": (SpikingNeuron, Leaky),
    "sinabs.layers": (StatefulLayer, IAF, IAFSqueeze),
    "sinabs.activation": (MultiSpike, SingleSpike, MaxSpike, MembraneSubtract, MembraneReset),
}
for home, kinds in HOMES.items():
    for kind in kinds:
        kind.__module__ = home


def library(name: str) -> SimpleNamespace:
    """The real library where it is installed, else its look-alikes; every class by its name."""
    homes = [home for home in HOMES if home.split(".")[0] == name]
    if importlib.util.find_spec(name) is not None:
        modules = [importlib.import_module(home) for home in homes]
        return SimpleNamespace(**{k: v for m in modules for k, v in vars(m).items()}, real=True)
    kinds = {kind.__name__: kind for home in homes for kind in HOMES[home]}
    return SimpleNamespace(**kinds, real=False)


def modules(name: str) -> dict[str, ModuleType]:
    """What to lay into sys.modules so that imports of a library find the look-alikes."""
    if importlib.util.find_spec(name) is not None:
        return {}
    found = {}
    for home, kinds in HOMES.items():
        if home.split(".")[0] == name:
            found[home] = ModuleType(home)
            vars(found[home]).update({kind.__name__: kind for kind in kinds})
    return found
