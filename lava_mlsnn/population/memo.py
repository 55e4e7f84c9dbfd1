"""A result and copies of the tensors it came from, valid while they hold the same values.

SLAYER users write through ``weight.data``, which no version counter sees: only the
values themselves tell whether something changed. Comparing waits for a GPU, so the
training forward remembers on the CPU alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import torch

__all__ = ["Memo"]

Value = TypeVar("Value")


class Memo(Generic[Value]):
    """``value``, computed from ``tensors`` under ``options``."""

    def __init__(self, tensors: Sequence[torch.Tensor], options: object, value: Value) -> None:
        self.tensors = [t.detach().clone() for t in tensors]
        self.options = options
        self.value = value

    def holds(self, tensors: Sequence[torch.Tensor], options: object) -> bool:
        """Whether the same tensors and options come again, in value, type and device."""
        return (
            self.options == options
            and len(tensors) == len(self.tensors)
            and all(
                a.device == b.device and a.dtype == b.dtype and torch.equal(a, b)
                for a, b in zip(tensors, self.tensors, strict=True)
            )
        )
