"""What ``neuron_params`` may hold, and what lava-dl's keys mean for this neuron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lava_mlsnn.checks import check_flag, meant, shown
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.neuron.module import MultiLevelNeuron

__all__ = ["LAVA_DL_KEYS", "NEURON_KEYS", "check_delays", "make_neuron"]

NEURON_KEYS = (
    "threshold",
    "levels",
    "v0",
    "train_threshold",
    "surrogate",
    "alpha",
    "detach_reset",
    "dropout",
)

# Keys of lava-dl's cuba and sigma_delta neurons: values that say what this neuron does
# anyway, and what to do about others.
LAVA_DL_KEYS: dict[str, tuple[tuple[Any, ...], str]] = {
    "current_decay": ((1,), "the neuron keeps no current from before, so leave it out"),
    "voltage_decay": ((0,), "the neuron does not leak, so leave it out"),
    "tau_grad": ((), "'surrogate' and 'alpha' choose the gradient of a spike"),
    "scale_grad": ((), "'surrogate' and 'alpha' choose the gradient of a spike"),
    "scale": ((), "the argument scaling of a block says how integers are scaled"),
    "norm": ((None,), "norm=True of a block is its BatchNorm, which is folded"),
    "shared_param": ((True,), "a block has one threshold"),
    "persistent_state": ((False,), "every sample starts anew"),
    "requires_grad": ((False,), "'train_threshold': True trains the threshold"),
    "graded_spike": ((), "spikes are graded, and 'levels' says how far"),
    "activation": ((), "the neuron is its activation: 0, 1, ... up to 'levels'"),
    "cum_error": ((True,), "what a spike does not carry always stays in the membrane"),
}


def make_neuron(neuron_params: Mapping[str, Any], **replace: Any) -> MultiLevelNeuron:
    """A neuron from SLAYER-style ``neuron_params``.

    Raises
    ------
    ConfigError
        For a key that is unknown, or for lava-dl's with values that this neuron cannot
        follow, all of them at once.
    """
    if not isinstance(neuron_params, Mapping):
        raise ConfigError(
            f"neuron_params must be a dict such as {{'levels': 4}}, got {shown(neuron_params)}"
        )
    own: dict[str, Any] = {}
    other: list[str] = []
    for key, value in neuron_params.items():
        if key in NEURON_KEYS:
            own[key] = value
        elif key in LAVA_DL_KEYS:
            same, instead = LAVA_DL_KEYS[key]
            if not any(value is x or (type(x) is not bool and x == value) for x in same):
                other.append(f"'{key}' = {shown(value)} ({instead})")
        else:
            raise ConfigError(
                f"neuron_params may hold {', '.join(NEURON_KEYS)}, got {shown(key)}"
                f"{meant(key, NEURON_KEYS)}"
            )
    if other:
        raise ConfigError(
            f"neuron_params holds what a multi-level neuron cannot follow: {', '.join(other)}"
        )
    return MultiLevelNeuron(**{**own, **replace})


def check_delays(delay: Any, delay_shift: Any) -> None:
    """Raise ConfigError where lava-dl's delays are asked for.

    A delay inside a sample moves what its last timesteps send into the next sample, whose
    neurons start anew: training, which ends there, would compute something else.
    """
    if check_flag("delay", delay):
        raise ConfigError(
            "delay=True, a learned delay for every neuron, would send the end of one sample into "
            "the next, which training does not see; leave it out"
        )
    if check_flag("delay_shift", delay_shift):
        raise ConfigError(
            "delay_shift=True has no counterpart: output t of a block belongs to its input t, and "
            "the loader accounts for the timestep that a synapse takes; leave it out"
        )
