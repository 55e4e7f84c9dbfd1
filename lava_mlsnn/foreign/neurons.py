"""Neurons of SpikingJelly, snnTorch and sinabs, known by the names of their classes.

Every one that is taken integrates without a leak and resets by subtraction::

    H = V + x        z = fire(H)        V = H - theta * z

Where thresholds are whole numbers vth and all sums too, their three ways to fire are ours,
``z = clip(floor((H + V0) / vth), 0, N)``, by the state V0 at the start of a sample:

========= =============================== ===================================================
fires     in their library                V0
========= =============================== ===================================================
``>=``    IFNode, IAF                     0
``>``     snnTorch                        -1: H > vth is H - 1 >= vth
``round`` ILIFNode, halves to even        N = 1: vth - vth // 2 - 1, as it fires above one half;
                                          N > 1: vth // 2, where no sum lies on a half
========= =============================== ===================================================

snnTorch subtracts in the next timestep, before it fires: which is the same. What a class
does is not believed but tried (:func:`probe`). Sources: spikingjelly 0.0.0.0.14 and 2.0.0.dev1
(``activation_based.neuron``), snntorch 1.0 (``_neurons.leaky``), sinabs 3.1 (``layers.iaf``).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from netx_export.spec import MultiLevel
from netx_export.spec.widths import STATE_MAX

__all__ = ["LIBRARIES", "Rule", "copied", "library_of", "probe", "rule_of", "set_threshold"]

LIBRARIES = ("spikingjelly", "snntorch", "sinabs")
BASES = {"BaseNode", "SimpleBaseNode", "SpikingNeuron", "StatefulLayer"}  # of all their neurons
STEPS, UNIT = 12, 8  # of a probe
SPARE = 2.0**-8


@dataclass(frozen=True)
class Rule:
    """How a neuron fires.

    Attributes
    ----------
    theta : float
        Threshold.
    fires : {">=", ">", "round"}
        See the module.
    levels : int
        N; :data:`STATE_MAX` where nothing limits it.
    axes : {"N", "TN", "NT", "(NT)"}
        What comes before a sample's own axes.
    unit : float
        What one spike is worth.
    """

    theta: float
    fires: str
    levels: int = 1
    axes: str = "N"
    unit: float = 1.0

    @property
    def between(self) -> bool:
        """Whether sums must not lie on a half threshold."""
        return self.fires == "round" and self.levels > 1

    def start(self, vth: np.ndarray) -> np.ndarray:
        """V0 for whole thresholds."""
        if self.fires == "round":
            return vth // 2 if self.levels > 1 else vth - vth // 2 - 1
        return np.full_like(vth, -1 if self.fires == ">" else 0)


def library_of(module: torch.nn.Module) -> str:
    """The library of a neuron, a layer or a container; "" for others."""
    homes = [kind.__module__.split(".")[0] for kind in type(module).__mro__]
    return next((home for home in homes if home in LIBRARIES), "")


def rule_of(module: torch.nn.Module) -> Rule | str | None:
    """How a neuron fires, or why it has no exact counterpart; None for what is no neuron."""
    known = [(kind, kind.__module__.split(".")[0]) for kind in type(module).__mro__]
    for place, (kind, home) in enumerate(known):
        ask = RULES.get((home, kind.__name__))
        if ask is None:
            continue
        for later, _ in known[:place]:
            own = sorted({*vars(later), *vars(module)} & CHANGES)
            if own:
                return f"changes {', '.join(own)} of {kind.__name__}; only its own can be followed"
        if "forward" in vars(module):
            return "has another forward than its class; only that of the class can be followed"
        found = ask(module)
        return found if isinstance(found, str) else probe(module, found) or found
    if not any(kind.__name__ in BASES and home in LIBRARIES for kind, home in known):
        return None
    for kind, home in known:
        if home in LIBRARIES and kind.__name__ in WHY:
            return WHY[kind.__name__]
    return (
        "is no neuron without a leak that resets by subtraction; use IFNode(v_reset=None), "
        "Leaky(beta=1) or IAF"
    )


# -- one function a class: a rule, or why not ---------------------------------------
def _threshold(value: Any) -> float | str:
    number = value.detach().double() if isinstance(value, torch.Tensor) else value
    if isinstance(number, torch.Tensor):
        if number.numel() != 1:
            return "has a threshold for every neuron; give one for all"
        number = number.item()
    if not 0 < number < math.inf:
        return f"has the threshold {number}; give a positive one"
    return float(number)


def _spikingjelly(module: Any) -> tuple[float, str] | str:
    """Threshold and axes of a SpikingJelly neuron."""
    if module.v_reset is not None:
        return f"resets to v_reset = {module.v_reset}; make it with v_reset=None, which subtracts"
    start = getattr(module, "_memories_rv", {}).get("v", 0.0)
    if start is not None and start != 0:
        return f"starts with v = {start}; let it start with 0"
    if not getattr(module.surrogate_function, "spiking", True):
        return "sends its surrogate's primitive, no spikes; set surrogate_function.spiking = True"
    theta = _threshold(module.v_threshold)
    return theta if isinstance(theta, str) else (theta, "TN" if module.step_mode == "m" else "N")


def _if_node(module: Any) -> Rule | str:
    found = _spikingjelly(module)
    return found if isinstance(found, str) else Rule(found[0], ">=", 1, found[1])


def _ilif_node(module: Any) -> Rule | str:
    leak = 1 / module.tau if hasattr(module, "tau") else 1 - module.decay
    if leak > 2.0**-26:  # less is rounded away in float32
        return f"leaks {float(leak):g} of its state a timestep; make it with tau=1e30"
    found = _spikingjelly(module)
    levels = getattr(module, "max_spike_count", None)
    if levels is None:
        levels = getattr(module.surrogate_function, "max_spike_count", None)
    if levels is None:
        return "does not say its max_spike_count"
    return found if isinstance(found, str) else Rule(found[0], "round", int(levels), found[1])


def _leaky(module: Any) -> Rule | str:
    beta = torch.as_tensor(module.beta).detach().double().clamp(0, 1)
    if bool((beta != 1).any()):
        return f"leaks (beta = {float(beta.min()):g}); make it with beta=1"
    if int(module.reset_mechanism_val) != 0:
        return f'resets by "{module.reset_mechanism}"; make it with reset_mechanism="subtract"'
    if not getattr(module, "reset_delay", True):
        return "has reset_delay=False, which subtracts a timestep late above 2 theta; leave it True"
    if module.inhibition:
        return "inhibits its neighbours (inhibition=True), which have no counterpart"
    if module.state_quant:
        return "rounds its state (state_quant); leave it out, integers are exact"
    unit = torch.as_tensor(module.graded_spikes_factor).detach().double()
    if unit.numel() != 1 or not float(unit) > 0 or math.frexp(float(unit))[0] != 0.5:
        return "has a graded_spikes_factor that is no power of two"
    theta = _threshold(module.threshold)
    return theta if isinstance(theta, str) else Rule(theta, ">", 1, "N", float(unit))


def _iaf(module: Any) -> Rule | str:
    if getattr(module, "rec_connect", None) is not None:
        return "is recurrent, which has no counterpart"
    if module.tau_syn is not None:
        return f"filters its input (tau_syn = {float(module.tau_syn):g}); make it with tau_syn=None"
    if module.min_v_mem is not None:
        return "holds its state above min_v_mem; make it with min_v_mem=None"
    name = type(module.reset_fn).__name__
    if name != "MembraneSubtract" or module.reset_fn.subtract_value is not None:
        return "does not reset by its threshold; make it with reset_fn=MembraneSubtract()"
    fires = module.spike_fn
    name = getattr(fires, "__name__", type(fires).__name__)
    if name not in ("MultiSpike", "MaxSpike", "SingleSpike"):
        return f"fires by {name}; use MultiSpike, MaxSpike or SingleSpike"
    most = getattr(fires, "max_num_spikes_per_bin", None)
    levels = 1 if name == "SingleSpike" else STATE_MAX if most is None else int(most)
    theta = _threshold(module.spike_threshold)
    axes = "(NT)" if hasattr(module, "squeeze_forward") else "NT"
    return theta if isinstance(theta, str) else Rule(theta, ">=", levels, axes)


RULES: dict[tuple[str, str], Callable[[Any], Rule | str]] = {
    ("spikingjelly", "IFNode"): _if_node,
    ("spikingjelly", "SimpleIFNode"): _if_node,
    ("spikingjelly", "ILIFNode"): _ilif_node,
    ("snntorch", "Leaky"): _leaky,
    ("sinabs", "IAF"): _iaf,
    ("sinabs", "IAFSqueeze"): _iaf,
}
CHANGES = {  # of methods, what a class or a module may not have of its own
    *("forward", "single_step_forward", "multi_step_forward", "fire", "mem_reset", "__call__"),
    *("neuronal_charge", "neuronal_fire", "neuronal_reset", "single_step_functional_forward"),
    *("multi_step_functional_forward", "fire_inhibition", "alpha_mem_calculated"),
}
LEAKS = "leaks; use IFNode(v_reset=None), Leaky(beta=1) or IAF, which do not"
WHY = {
    **dict.fromkeys(("LIFNode", "ParametricLIFNode", "SimpleLIFNode", "LIF", "ALIF"), LEAKS),
    "Synaptic": "filters its input; use Leaky(beta=1)",
    "Alpha": "filters its input; use Leaky(beta=1)",
    "Lapicque": "leaks; use Leaky(beta=1)",
    "IAFRecurrent": "is recurrent, which has no counterpart",
    "RLeaky": "is recurrent, which has no counterpart",
}


# -- what it does -------------------------------------------------------------------
def set_threshold(module: Any, theta: float) -> None:
    """Give a neuron another threshold."""
    if hasattr(module, "v_threshold"):
        module.v_threshold = theta
        return
    name = "spike_threshold" if hasattr(module, "spike_threshold") else "threshold"
    with torch.no_grad():
        old = getattr(module, name)
        old.data = torch.full_like(old.data.float(), theta)


def probe(module: torch.nn.Module, rule: Rule) -> str:
    """What a neuron does other than its rule, on drawn input; "" if nothing."""
    twin: Any = copied(module).cpu().eval()
    for name in ("reset", "reset_mem", "reset_states"):
        if callable(getattr(twin, name, None)):
            getattr(twin, name)()
    set_threshold(twin, 1.0)
    count = max(int(getattr(twin, "batch_size", 0) or 0), 1)
    steps = STEPS
    if rule.axes == "(NT)" and int(getattr(twin, "num_timesteps", -1)) > 0:
        steps = int(twin.num_timesteps)
    size = (steps, count, 64)
    drawn = np.random.default_rng(0).integers(-UNIT, 2 * UNIT, size)  # halves and whole ones too
    x = torch.from_numpy(drawn / UNIT + (SPARE / steps if rule.between else 0.0)).float()
    try:
        z = _run(twin, x, rule.axes)
    except Exception as error:  # of their library
        said = str(error).strip().split("\n")[0]
        return f"cannot be run: {type(error).__name__}: {said}"
    vth = np.array([UNIT])
    neuron = MultiLevel(rule.levels, vth, rule.start(vth))
    v: np.ndarray = neuron.start(1)
    for t in range(steps):
        wanted, v, _ = neuron.step(v, drawn[t], 1)
        if not np.array_equal(wanted * rule.unit, z[t].double().numpy()):
            return "does not spike as the neuron of that name did when this was written"
    return ""


@torch.no_grad()
def _run(neuron: torch.nn.Module, x: torch.Tensor, axes: str) -> torch.Tensor:
    """Spikes for x of (T, N, F), in that order of axes."""
    if axes == "TN":
        return neuron(x)
    if axes == "N":
        return torch.stack([_spikes(neuron(part)) for part in x])
    turned = x.transpose(0, 1)
    z = neuron(turned if axes == "NT" else turned.flatten(0, 1))
    return z.reshape(turned.shape).transpose(0, 1)


def copied(module: torch.nn.Module) -> torch.nn.Module:
    """A copy, of states that carry gradients too (which torch does not copy)."""
    states = (x for m in module.modules() for x in tree_leaves(vars(m)))
    carry = (x for x in states if isinstance(x, torch.Tensor) and not x.is_leaf)
    return copy.deepcopy(module, {id(x): x.detach().clone() for x in carry})


def _spikes(result: Any) -> torch.Tensor:
    """Of what a neuron returns, its spikes."""
    found: torch.Tensor = result[0] if isinstance(result, tuple) else result
    return found
