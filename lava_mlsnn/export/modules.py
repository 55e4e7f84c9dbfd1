"""Which modules are asked, followed or refused, and a model set aside for a reading."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from lava_mlsnn.export.traced import Traced
from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.population.synapses import Synapse
from netx_export.errors import UnsupportedLayerError

__all__ = ["WRAPPERS", "asked", "cannot", "inner", "opaque", "set_aside"]

HINTS = {
    "MaxPool2d": "use block.MaxPool, exact at T = 1, or block.Pool",
    "Conv2d": "use block.Conv, which folds BatchNorm and rounds to 8 bits",
    "Linear": "use block.Dense, or block.Output for the scores",
    "BatchNorm2d": "use the norm of block.Conv, which is folded at export",
    "AvgPool2d": "use block.Pool",
    "Flatten": "use block.Flatten",
    "MultiLevelNeuron": "call its block",
}
TRANSPARENT = (  # of torch.nn: what they do is followed
    torch.nn.Sequential,
    torch.nn.Identity,
    torch.nn.modules.dropout._DropoutNd,
    torch.nn.Flatten,
    torch.nn.Unflatten,
    torch.nn.ReLU,
    torch.nn.Hardtanh,  # and ReLU6
    torch.nn.ModuleList,
    torch.nn.ModuleDict,
)
WRAPPERS = (
    torch.nn.DataParallel,
    torch.nn.parallel.DistributedDataParallel,
    torch.optim.swa_utils.AveragedModel,
)


def inner(model: torch.nn.Module) -> torch.nn.Module:
    """The model inside DataParallel, DistributedDataParallel, an average or torch.compile.

    Parameters
    ----------
    model : Module
        Any.

    Returns
    -------
    Module
        The same where nothing is wrapped.
    """
    if not isinstance(model, torch.nn.Module):
        raise UnsupportedLayerError(
            f"expected a torch.nn.Module made of blocks, got {type(model).__name__}"
        )
    while True:
        if isinstance(model, WRAPPERS):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), torch.nn.Module):
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


def asked(module: torch.nn.Module) -> bool:
    """Whether it has ``layers``, and no forward of a later class that it would not describe."""
    if "forward" in vars(module):
        return False
    for kind in type(module).__mro__:
        if callable(vars(kind).get("layers")):
            return True
        if "forward" in vars(kind):
            return False
    return False


def opaque(module: torch.nn.Module) -> bool:
    """Modules that are refused as such, not function by function."""
    if isinstance(module, (Synapse, MultiLevelNeuron, torch.jit.ScriptModule)):
        return True
    own = type(module).__module__.startswith("torch.nn.")
    return own and not isinstance(module, (*TRANSPARENT, *WRAPPERS))


def cannot(module: torch.nn.Module) -> str:
    """Why it is refused, and what to use instead."""
    hint = HINTS.get(type(module).__name__, "use the blocks of lava_mlsnn.slayer.block")
    return f"cannot be exported exactly; {hint}"


@contextmanager
def set_aside(model: torch.nn.Module) -> Iterator[list[str]]:
    """``eval()`` and no gradients; what a forward does to its modules is undone.

    The list holds, afterwards, what a forward must not do in ``eval()``: change numbers
    of blocks, or draw random ones.
    """
    modules = list(model.modules())
    attributes = [dict(vars(m)) for m in modules]
    held = [
        (value, copy(value))
        for found in attributes
        for value in found.values()
        if type(value) in (list, dict, OrderedDict, set)
    ]
    touched = _Touched(model)
    dice = torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=False)
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    done: list[str] = []
    try:
        for module in modules:
            vars(module)["training"] = False
            if vars(module).get("_compiled_call_impl") is not None:
                vars(module)["_compiled_call_impl"] = None
        with (
            torch.random.fork_rng(devices=gpus),
            torch.inference_mode(False),
            torch.no_grad(),
            touched,
        ):
            yield done
            if not torch.equal(torch.get_rng_state(), dice[0]) or random.getstate() != dice[1]:
                done.append("draws random numbers in eval(); draw them in training alone")
    finally:
        for module, before in zip(modules, attributes, strict=True):
            vars(module).clear()
            vars(module).update(before)
        for value, before_ in held:
            value.clear()
            value.extend(before_) if isinstance(value, list) else value.update(before_)
        random.setstate(dice[1])
        np.random.set_state(dice[2])
        for name, tensor, before_ in touched.before:
            if not _same(tensor, before_):
                with torch.no_grad():
                    tensor.copy_(before_)
                if _of_a_block(model, name):
                    done.append(f"changes {name}; change weights outside of forward")


class _Touched(TorchFunctionMode):
    """Copies of the parameters and buffers that functions of torch get, before they do."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.before: list[tuple[str, torch.Tensor, torch.Tensor]] = []
        self._at: dict[int, list[tuple[str, torch.Tensor]]] = {}
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            self._at.setdefault(tensor.untyped_storage().data_ptr(), []).append((name, tensor))

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        for x in tree_leaves([args, kwargs]):
            if isinstance(x, torch.Tensor) and not isinstance(x, Traced):
                with suppress(NotImplementedError):  # sparse or batched: no storage
                    for name, tensor in self._at.pop(x.untyped_storage().data_ptr(), ()):
                        self.before.append((name, tensor, tensor.detach().clone()))
        return func(*args, **(kwargs or {}))


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    if torch.equal(a, b):
        return True
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


def _of_a_block(model: torch.nn.Module, name: str) -> bool:
    """Whether an export depends on it: a parameter, or a buffer inside a leaf."""
    path, _, last = name.rpartition(".")
    if last not in model.get_submodule(path)._buffers:
        return True
    parts = path.split(".") if path else []
    outer = (".".join(parts[: k + 1]) for k in range(len(parts)))
    return any(asked(model.get_submodule(p)) for p in outer)
