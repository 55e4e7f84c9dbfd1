"""What a model computes in ``eval()``: the exported integers, or floats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.population.population import Population

__all__ = ["precision", "set_precision"]

PRECISIONS = ("integer", "float")


def set_precision(model: torch.nn.Module, name: str) -> None:
    """Choose what ``model.eval()`` computes: ``"integer"`` (exported) or ``"float"``."""
    if name not in PRECISIONS:
        raise ConfigError(f"precision must be one of {PRECISIONS}, got {name!r}")
    for population in _populations(model):
        population.precision = name


@contextmanager
def precision(model: torch.nn.Module, name: str) -> Iterator[None]:
    """:func:`set_precision` for the duration of a ``with`` block."""
    before = [(p, p.precision) for p in _populations(model)]
    set_precision(model, name)
    try:
        yield
    finally:
        for population, value in before:
            population.precision = value


def _populations(model: torch.nn.Module) -> Iterator[Population]:
    return (m for m in model.modules() if isinstance(m, Population))
