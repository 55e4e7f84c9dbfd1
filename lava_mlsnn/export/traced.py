"""A tensor without values that remembers which payload each of its elements is."""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from types import FrameType
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from lava_mlsnn.export.graph import DATA, NOWHERE, Offence

__all__ = ["StopError", "Traced", "here"]

# frames that are not the user's: of torch, of this project, of with blocks
OWN = tuple(os.path.dirname(f) + os.sep for f in (torch.__file__, os.path.dirname(__file__)))
OWN += (contextlib.__file__,)


class StopError(Exception):
    """Nothing behind this place can be followed; the offence is noted already."""


class Memory:
    """What tensors that may share memory share: who they are, and what was done to all."""

    def __init__(self) -> None:
        self.members: list[weakref.ref[Traced]] = []
        self.faults: tuple[Offence, ...] = ()


def here() -> str:
    """file:line of the innermost frame that is a user's; "" if the tracer comes first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((*OWN, "<")):
            return f"{name}:{frame.f_lineno}"
        if name.startswith(OWN[1]) and frame.f_code.co_name == "follow":
            break
        frame = frame.f_back
    return ""


class Traced(torch.Tensor):
    """A float32 tensor on the meta device with its origin.

    Attributes
    ----------
    tracer : Tracer
        Who records.
    source : int
        The node whose whole payload this is, if ``moved`` is None.
    moved : Tensor or None, int64
        For every element: the number of its node times 2**40, plus its place there.
    scaled : tuple of Offence
        Where it was multiplied with a number; ``factor`` is their product.
    """

    tracer: Any
    source: int
    moved: torch.Tensor | None
    factor: float
    scaled: tuple[Offence, ...]
    own_faults: tuple[Offence, ...]
    memory: Memory

    @staticmethod
    def make(
        tracer: Any,
        shape: tuple[int, ...],
        *,
        source: int = NOWHERE,
        moved: torch.Tensor | None = None,
        like: Traced | None = None,
        faults: tuple[Offence, ...] = (),
        dtype: torch.dtype = torch.float32,
        fresh: bool = False,
    ) -> Traced:
        """A tensor; ``like`` gives factor and, unless it is a ``fresh`` one, memory."""
        plain = torch.empty(shape, dtype=dtype, device="meta")
        out: Traced = torch.Tensor._make_subclass(Traced, plain)  # type: ignore[attr-defined]
        out.tracer, out.source, out.moved = tracer, source, moved
        out.factor = 1.0 if like is None else like.factor
        out.scaled = () if like is None else like.scaled
        out.own_faults = faults
        out.memory = Memory() if like is None or fresh else like.memory
        out.memory.members.append(weakref.ref(out))
        return out

    @property
    def faults(self) -> tuple[Offence, ...]:
        """What makes this no payload."""
        return self.own_faults + self.memory.faults

    @property
    def before(self) -> bool:
        """Whether this is the model's own argument."""
        return self.moved is None and self.source == DATA and not self.faults

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Every function of torch with one of us comes here."""
        first = next(x for x in tree_leaves([args, kwargs]) if isinstance(x, Traced))
        with torch._C.DisableTorchFunctionSubclass():  # type: ignore[attr-defined]
            return first.tracer.call(func, args, kwargs or {})
