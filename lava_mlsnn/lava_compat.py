"""Lava 0.10.0 on Python 3.11 to 3.13: ``import lava_mlsnn.lava_compat``, before Lava.

Lava is released for Python 3.10 alone. Two things of it do not work on newer ones, and both
are mended while Lava is imported; no installed file is changed, and nothing is imported here.

- Python 3.11 and newer refuse a dataclass whose default cannot be hashed:
  ``lava.magma.compiler.var_model`` has such defaults, of its class ``ByteEncoder``.
- NumPy 2.5 dropped ``reshape(newshape=...)``, by which Lava reshapes a port.

The environment variable ``LAVA_MLSNN_COMPAT=1`` does the same as the import, also in the
processes that a program starts. On Python 3.10 nothing is done.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.machinery
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

__all__: list[str] = []


@contextmanager
def _hashable_defaults(_: ModuleType) -> Iterator[None]:
    """``ByteEncoder`` gets a hash from its values, which is all that Python asks of a default."""
    original: Callable[..., Any] = dataclasses.dataclass

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        if getattr(cls, "__name__", None) == "ByteEncoder":
            options["unsafe_hash"] = True
        return original(cls, **options)

    dataclasses.dataclass = dataclass  # type: ignore[assignment]
    try:
        yield
    finally:
        dataclasses.dataclass = original  # type: ignore[assignment]


@contextmanager
def _reshaped_ports(module: ModuleType) -> Iterator[None]:
    """A reshaped port names the new shape by its place, as every NumPy takes it."""
    yield
    port = module.ReshapePort
    port.get_transform_func_fwd = lambda self: functools.partial(_reshape, shape=self.shape)
    port.get_transform_func_bwd = lambda self: functools.partial(_reshape, shape=self.old_shape)


def _reshape(a: Any, shape: Any) -> Any:
    return np.reshape(a, shape)


MENDED = {
    "lava.magma.compiler.var_model": _hashable_defaults,
    "lava.magma.core.process.ports.ports": _reshaped_ports,
}


class _Loader(importlib.machinery.SourceFileLoader):
    """Executes a module of Lava's as it is, with its mending around it."""

    def exec_module(self, module: ModuleType) -> None:
        with MENDED[module.__name__](module):
            super().exec_module(module)


class _Finder:
    """Finds the modules of :data:`MENDED` where Python finds them, with our loader."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        if name not in MENDED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


if sys.version_info >= (3, 11):
    sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]
    for _name in MENDED.keys() & sys.modules.keys():  # from an import of Lava that failed
        with MENDED[_name](sys.modules[_name]):
            pass
