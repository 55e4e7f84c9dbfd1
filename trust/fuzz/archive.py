"""Mutations of a checkpoint that leave its archive whole: what it holds, or its pickle."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import torch

from trust.fuzz import bytewise

__all__ = ["mutated"]

VALUES: tuple[Any, ...] = (None, True, 0, 1, -1, 2**31, 2**70, 0.5, -1e300, float("nan"), "", "x",
                           "\x1b[31m", [], {}, [[]], (), {"a": 1}, torch.zeros(()), torch.zeros(3),
                           torch.zeros(1).expand(1000), torch.zeros(2).long())  # fmt: skip


TENSORS: tuple[Callable[[torch.Tensor, random.Random], Any], ...] = (
    lambda value, draw: value.double(),
    lambda value, draw: value.half(),
    lambda value, draw: value.flatten(),
    lambda value, draw: value.flatten()[:1],
    lambda value, draw: value.to_sparse(),
    lambda value, draw: value * draw.choice((0.0, -1.0, 1e30, float("nan"))),
    lambda value, draw: draw.choice(VALUES),
)


def _replaced(value: Any, draw: random.Random) -> Any:
    """A copy with one place at a drawn depth changed, dropped or added."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        copy = dict(value)
        key = draw.choice(list(copy))
        how = draw.random()
        if how < 0.12:
            del copy[key]
        elif how < 0.2:
            copy[draw.choice(("x", 0, "lr", "epoch", key))] = draw.choice(VALUES)
        else:
            copy[key] = _replaced(copy[key], draw)
        return copy
    if isinstance(value, list | tuple) and value and draw.random() < 0.8:
        items = list(value)
        place = draw.randrange(len(items))
        if draw.random() < 0.3:
            del items[place]
        else:
            items[place] = _replaced(items[place], draw)
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, torch.Tensor):
        if not value.is_floating_point() or value.numel() == 0:
            return draw.choice(VALUES)
        return draw.choice(TENSORS)(value, draw)
    if isinstance(value, bool | int | float) and draw.random() < 0.6:
        return draw.choice((value + 1, -value, value * 1000, value / 3, value * 2**40))
    return draw.choice(VALUES)


def _packed(entries: list[tuple[str, bytes]]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return data.getvalue()


def mutated(data: bytes, draw: random.Random, others: Sequence[bytes]) -> bytes:
    """One change of the content, or of the bytes of one entry under a right check sum."""
    if draw.random() < 0.5:
        content = torch.load(io.BytesIO(data), weights_only=True)
        for _ in range(draw.choice((1, 1, 2))):
            content = _replaced(content, draw)
        buffer = io.BytesIO()
        torch.save(content, buffer)
        return buffer.getvalue()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(e.filename, archive.read(e)) for e in archive.infolist()]
    # the pickle is what is interpreted; the others are numbers
    chosen = [i for i, (name, _) in enumerate(entries) if name.endswith("data.pkl")]
    if not chosen or draw.random() < 0.2:
        chosen = list(range(len(entries)))
    place = draw.choice(chosen)
    name, content = entries[place]
    entries[place] = (name, bytewise.mutated(content, draw, [e for _, e in entries]))
    return _packed(entries)
