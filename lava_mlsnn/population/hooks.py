"""torch's weight hooks on synapses: pruning, ``weight_norm`` and ``spectral_norm``.

These hooks compute ``weight`` (or ``bias``) from other parameters when their module is
called. A population needs its synapses' weights before it calls them, since all of them
decide one grid: so the hooks run when the weight is read, and the call that follows
leaves them out. Each runs once a forward, as in a torch.nn.Linear.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from lava_mlsnn.errors import UnsupportedLayerError

__all__ = ["call_with_weight", "check_hooks", "evaluating", "run_weight_hooks"]

WEIGHT_HOOKS = (BasePruningMethod, SpectralNorm, WeightNorm)
COMPUTES = ("forward", "apply_weight")


def run_weight_hooks(module: torch.nn.Module) -> None:
    """Bring what the weight hooks compute up to date."""
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WEIGHT_HOOKS):
            hook(module, ())


def call_with_weight(module: torch.nn.Module, *arguments: Any) -> Any:
    """``module(*arguments)`` without its weight hooks, which ran before."""
    hooks = module._forward_pre_hooks
    if not hooks:
        return module(*arguments)
    others = [(k, hook) for k, hook in hooks.items() if not isinstance(hook, WEIGHT_HOOKS)]
    if len(others) < len(hooks):
        module = copy.copy(module)  # the same parameters and children
        module._forward_pre_hooks = OrderedDict(others)
    return module(*arguments)


def check_hooks(module: torch.nn.Module, what: str, described: str = "forward") -> None:
    """Raise UnsupportedLayerError for what may change what ``module`` computes in training.

    A hook, or a method of the forward (``COMPUTES``) that was replaced: on the module, or in a
    class that comes after the one whose method ``described`` says what is exported.
    """
    hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
    foreign = [hook for hook in hooks if not isinstance(hook, WEIGHT_HOOKS)]
    replaced = [name for name in COMPUTES if name in vars(module)]
    for kind in type(module).__mro__:
        if described in vars(kind):
            break
        replaced += [f"{kind.__name__}.{name}" for name in COMPUTES if name in vars(kind)]
    if foreign or replaced:
        name = getattr(foreign[0], "__name__", type(foreign[0]).__name__) if foreign else ""
        culprit = f"forward hook {name!r}" if foreign else f"replaced {replaced[0]}"
        raise UnsupportedLayerError(
            f"the {culprit} on {what} is no part of the integer network; remove it, or use "
            "pre_hook_fx or torch.nn.utils.parametrize to change a weight"
        )


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Every part of ``module`` in eval mode, so that reading a weight moves nothing."""
    modes = [m for m in module.modules() if m.training]
    for m in modes:
        m.training = False
    try:
        yield
    finally:
        for m in modes:
            m.training = True
