"""A fault put into functions that are loaded: their code is exchanged, all else stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

__all__ = ["changed", "functions", "put"]

OPTIMISED = 1  # CO_OPTIMIZED: of a function, not of a module or class


def changed(before: CodeType, after: CodeType) -> dict[CodeType, CodeType] | None:
    """Codes of functions that differ; None where a module's or a class's own code does."""
    found: dict[CodeType, CodeType] = {}
    for old, new in zip(_inside(before), _inside(after), strict=False):
        if old != new and old.co_flags & OPTIMISED:
            found[old] = new
    for old, new in zip(_bodies(before), _bodies(after), strict=True):
        if (old.co_code, _plain(old)) != (new.co_code, _plain(new)):
            return None
    return found


def functions(file: Path) -> list[FunctionType]:
    """Every function of a file that is loaded."""
    name = str(file)
    return [
        f for f in gc.get_objects() if type(f) is FunctionType and f.__code__.co_filename == name
    ]


def put(codes: dict[CodeType, CodeType], loaded: list[FunctionType]) -> None:
    """Exchange the code of those that are meant."""
    for function in loaded:
        if (new := codes.get(function.__code__)) is not None:
            function.__code__ = new


def _codes(code: CodeType) -> list[CodeType]:
    return [c for c in code.co_consts if isinstance(c, CodeType)]


def _plain(code: CodeType) -> list[str]:
    return [repr(c) for c in code.co_consts if not isinstance(c, CodeType)]


def _inside(code: CodeType) -> Iterator[CodeType]:
    """A code and those in it, in the order of the text."""
    yield code
    for inner in _codes(code):
        yield from _inside(inner)


def _bodies(code: CodeType) -> Iterator[CodeType]:
    """The module's code, and those of its classes."""
    yield code
    for inner in _codes(code):
        if not inner.co_flags & OPTIMISED:
            yield from _bodies(inner)
