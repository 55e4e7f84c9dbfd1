"""lava-dl's ``slayer`` with the blocks of this package in the place of its own.

``from lava_mlsnn.slayer import lava_dl as slayer`` instead of
``import lava.lib.dl.slayer as slayer``: ``slayer.block.cuba.Dense`` and its like are then
blocks of multi-level neurons with lava-dl's order of arguments, and everything else
(``slayer.loss``, ``slayer.utils``, ``slayer.io``) is lava-dl's, where it is installed. What
has no exact counterpart is refused by name, arguments too (``docs/from_lava_dl.md``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NoReturn

from lava_mlsnn.checks import check_number
from lava_mlsnn.errors import ConfigError, MissingError, UnsupportedLayerError
from lava_mlsnn.population.synapses import pair
from lava_mlsnn.slayer import block as own
from lava_mlsnn.slayer.block.neuron_params import check_delays, make_neuron
from netx_export.spec.kernels import Pair

__all__ = ["REFUSED", "block"]

# Names of lava.lib.dl.slayer.block that have no counterpart, and what to do.
REFUSED = {
    "alif": "neurons that adapt have no multi-level form; train with cuba",
    "adrf": "neurons that resonate have no multi-level form; train with cuba",
    "adrf_iz": "neurons that resonate have no multi-level form; train with cuba",
    "rf": "neurons that resonate have no multi-level form; train with cuba",
    "rf_iz": "neurons that resonate have no multi-level form; train with cuba",
    "base": "its abstract classes have no use here; derive from lava_mlsnn.slayer.block.Block",
    "KWTA": "a network is a graph without cycles, and its neurons would feed each other; "
    "take the largest of block.Output",
    "Recurrent": "a network is a graph without cycles; let the membrane remember, over T timesteps",
    "TimeDecimation": "T is one number for a whole network; bin the samples before the first block",
    "Unpool": "it is a ConvT with a fixed kernel; use ConvT, whose kernel is trained",
}


class RefusedError(UnsupportedLayerError, AttributeError):
    """One sentence for a name that is not there; ``hasattr`` is False."""


class _Names:
    """A namespace whose missing names say why."""

    def __init__(self, path: str, names: Mapping[str, Any]) -> None:
        self.__dict__.update(names)
        self._path = path

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # asked by Python, also while a copy has nothing yet
            raise AttributeError(name)
        why = REFUSED.get(name, f"there are {', '.join(n for n in vars(self) if n[0] != '_')}")
        raise RefusedError(f"slayer.{self._path}.{name} has no counterpart: {why}")


def _flatten(count_log: bool = False) -> own.Flatten:
    """``block.Flatten`` with lava-dl's arguments."""
    return own.Flatten(count_log=count_log)


def _output(
    neuron_params: Mapping[str, Any],
    in_neurons: int,
    out_neurons: int,
    weight_scale: float = 1.0,
    weight_norm: bool = False,
    count_log: bool = False,
) -> own.Affine:
    """``block.Affine`` without dynamics, with the arguments of ``sigma_delta.Output``."""
    return own.Affine(
        neuron_params,
        in_neurons,
        out_neurons,
        weight_scale,
        weight_norm,
        dynamics=False,
        count_log=count_log,
    )


def _pool(
    neuron_params: Mapping[str, Any],
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    weight_scale: float = 1.0,
    weight_norm: bool = False,
    pre_hook_fx: Callable[..., Any] | None = None,
    delay: bool = False,
    delay_shift: bool = False,
    count_log: bool = False,
) -> own.Pool:
    """``block.Pool`` whose neurons meet ``weight_scale`` times the sum of a window."""
    check_delays(delay, delay_shift)
    asked = {
        "padding": pair(padding, "padding", 0) != (0, 0),
        "dilation": pair(dilation, "dilation", 1) != (1, 1),
        "weight_norm": bool(weight_norm),
        "pre_hook_fx": pre_hook_fx is not None,
    }
    for name in (name for name, given in asked.items() if given):
        raise ConfigError(
            f"Pool sums whole windows with one weight and has no {name}; leave it out"
        )
    area = math.prod(pair(kernel_size, "kernel_size", 1))
    scale = check_number("weight_scale", weight_scale, 0, math.inf, above=True) * area
    threshold = make_neuron(neuron_params).threshold.item() / scale  # of the average
    params = {**neuron_params, "threshold": threshold}
    return own.Pool(params, None, kernel_size, stride, payload_max=0, count_log=count_log)


_COMMON = {
    "Input": own.Input,
    "Flatten": _flatten,
    "Average": own.Average,
    "Dense": own.Dense,
    "Conv": own.Conv,
    "ConvT": own.ConvT,
    "Pool": _pool,
}
block = _Names(
    "block",
    {
        "cuba": _Names("block.cuba", {**_COMMON, "Affine": own.Affine}),
        "sigma_delta": _Names("block.sigma_delta", {**_COMMON, "Output": _output}),
    },
)


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        slayer = import_module("lava.lib.dl.slayer")
    except ImportError as error:
        raise MissingError(
            f"slayer.{name} is lava-dl's own, which cannot be imported here ({error}); install "
            "lava-dl 0.6.0 on Python 3.10"
        ) from None
    return getattr(slayer, name)
