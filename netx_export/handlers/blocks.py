"""One handler per block type: which populations it is, and how they connect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lava_mlsnn.slayer.block import Flatten, Input, PopulationBlock, Residual
from netx_export.errors import UnsupportedLayerError
from netx_export.handlers.builder import Builder
from netx_export.spec import Flatten as FlattenSpec
from netx_export.spec import Input as InputSpec

__all__ = ["HANDLERS", "handle"]

Handler = Callable[[Builder, str, Any, int], int]


def _input(builder: Builder, name: str, block: Input, source: int) -> int:
    if builder.layers:
        raise UnsupportedLayerError("an input block must come first", f"layer {name!r}")
    return builder.add(InputSpec(block.shape, block.levels, block.signed, block.gain, name=name))


def _flatten(builder: Builder, name: str, block: Flatten, source: int) -> int:
    return builder.add(FlattenSpec(source, block.shape, name))


def _population(builder: Builder, name: str, block: PopulationBlock, source: int) -> int:
    return builder.population(name, block.population, source)


def _residual(builder: Builder, name: str, block: Residual, source: int) -> int:
    start = source
    if block.act is not None:
        source = builder.population(f"{name}.act", block.act, source)
    hidden = builder.population(f"{name}.conv1", block.conv1, source)
    side = start
    if block.shortcut is not None:
        side = builder.population(f"{name}.shortcut", block.shortcut, source)
    if block.barrier is not None:
        spikes = builder.population(f"{name}.conv2", block.conv2, hidden)
        return builder.population(f"{name}.barrier", block.barrier, spikes, side)
    if len(block.conv2.synapses) == 1:
        return builder.population(f"{name}.conv2", block.conv2, hidden)
    projected = block.act is not None and block.projects
    return builder.population(f"{name}.conv2", block.conv2, hidden, source if projected else side)


def _nothing(builder: Builder, name: str, block: torch.nn.Module, source: int) -> int:
    return source


HANDLERS: dict[type, Handler] = {
    Input: _input,
    Flatten: _flatten,
    PopulationBlock: _population,
    Residual: _residual,
    torch.nn.Identity: _nothing,
    torch.nn.Dropout: _nothing,  # does nothing outside training
}

HINTS = {
    "MaxPool2d": "max pooling has no exact synapse in Lava; use block.Pool or a stride",
    "ReLU": "use a block with a multi-level neuron, which is a quantised ReLU at T = 1",
    "Conv2d": "use block.Conv, which folds BatchNorm and rounds to 8 bits",
    "Linear": "use block.Dense, or block.Output for the scores",
    "BatchNorm2d": "use the norm of block.Conv, which is folded at export",
    "AvgPool2d": "use block.Pool",
    "Flatten": "use block.Flatten",
}


def handle(builder: Builder, name: str, module: torch.nn.Module, source: int) -> int:
    """Add a module's layers; UnsupportedLayerError says what to use instead."""
    for kind in type(module).__mro__:
        if kind in HANDLERS:
            return HANDLERS[kind](builder, name, module, source)
    hint = HINTS.get(type(module).__name__, "use the blocks of lava_mlsnn.slayer.block")
    raise UnsupportedLayerError(
        f"{type(module).__name__} cannot be exported exactly; {hint}", f"layer {name!r}"
    )
