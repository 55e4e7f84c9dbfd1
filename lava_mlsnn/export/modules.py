"""Which modules are asked, followed or refused, and a model set aside for a reading."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy

import torch

from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.slayer.synapse import Synapse
from netx_export.errors import UnsupportedLayerError

__all__ = ["WRAPPERS", "asked", "cannot", "inner", "opaque", "set_aside"]

HINTS = {
    "MaxPool2d": "max pooling has no exact synapse in Lava; use block.Pool or a stride",
    "ReLU": "use a block with a multi-level neuron, which is a quantised ReLU at T = 1",
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
    torch.nn.ModuleList,
    torch.nn.ModuleDict,
)
WRAPPERS = (
    torch.nn.DataParallel,
    torch.nn.parallel.DistributedDataParallel,
    torch.optim.swa_utils.AveragedModel,
)


def inner(model: torch.nn.Module) -> torch.nn.Module:
    """The model inside DataParallel, DistributedDataParallel, an average or torch.compile."""
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
def set_aside(model: torch.nn.Module) -> Iterator[None]:
    """``eval()`` and no gradients; what a forward does to its modules is undone."""
    modules = list(model.modules())
    attributes = [dict(vars(m)) for m in modules]
    held = [
        (value, copy(value))
        for found in attributes
        for value in found.values()
        if type(value) in (list, dict, OrderedDict, set)
    ]
    buffers = [
        (buffer, buffer.detach().clone())
        for m in modules
        if not type(m).__module__.startswith(("torch.", "lava_mlsnn."))
        for buffer in m._buffers.values()
        if buffer is not None
    ]
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        for module in modules:
            vars(module)["training"] = False
            if vars(module).get("_compiled_call_impl") is not None:
                vars(module)["_compiled_call_impl"] = None
        with (
            torch.random.fork_rng(devices=gpus),
            torch.inference_mode(False),
            torch.no_grad(),
        ):
            yield
    finally:
        for module, before in zip(modules, attributes, strict=True):
            vars(module).clear()
            vars(module).update(before)
        for value, before_ in held:
            value.clear()
            value.extend(before_) if isinstance(value, list) else value.update(before_)
        with torch.no_grad():
            for buffer, before_ in buffers:
                if not torch.equal(buffer, before_):
                    buffer.copy_(before_)
