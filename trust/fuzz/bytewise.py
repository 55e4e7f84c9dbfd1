"""Mutations that know nothing of a format."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

__all__ = ["mutated"]

NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 1 << 15, (1 << 16) - 1, 1 << 16, (1 << 31) - 1,
           1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
FORMS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")


def _flip(data: bytearray, draw: random.Random, others: Sequence[bytes]) -> None:
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _set(data: bytearray, draw: random.Random, others: Sequence[bytes]) -> None:
    data[draw.randrange(len(data))] = draw.randrange(256)


def _number(data: bytearray, draw: random.Random, others: Sequence[bytes]) -> None:
    form = draw.choice(FORMS)
    size = struct.calcsize(form)
    value = draw.choice(NUMBERS) % (1 << 8 * size)
    start = draw.randrange(max(1, len(data) - size + 1))
    if draw.random() < 0.7:  # fields of binary formats are aligned
        start -= start % size
    data[start : start + size] = struct.pack(form, value)


def _add(data: bytearray, draw: random.Random, others: Sequence[bytes]) -> None:
    place = draw.randrange(len(data))
    data[place] = (data[place] + draw.choice((-2, -1, 1, 2, 16))) % 256


def _cut(data: bytearray, draw: random.Random, others: Sequence[bytes]) -> None:
    start = draw.randrange(len(data))
    del data[start : start + draw.choice((1, 2, 8, 64, len(data)))]


def _repeat(data: bytearray, draw: random.Random, others: Sequence[bytes]) -> None:
    start = draw.randrange(len(data))
    part = data[start : start + draw.choice((1, 4, 8, 64))]
    data[start:start] = part * draw.choice((1, 1, 3, 16))


def _move(data: bytearray, draw: random.Random, others: Sequence[bytes]) -> None:
    size = draw.choice((2, 4, 8, 16, 64))
    start, to = (draw.randrange(max(1, len(data) - size)) for _ in range(2))
    data[to : to + size] = data[start : start + size]


def _splice(data: bytearray, draw: random.Random, others: Sequence[bytes]) -> None:
    other = draw.choice(others)
    if not other:
        return
    start = draw.randrange(min(len(data), len(other)))
    if draw.random() < 0.5:
        data[start:] = other[start:]
    else:
        size = draw.choice((4, 16, 64, 256))
        data[start : start + size] = other[start : start + size]


KINDS = (_flip, _flip, _set, _set, _number, _number, _number, _add, _cut, _repeat, _move, _splice)


def mutated(data: bytes, draw: random.Random, others: Sequence[bytes]) -> bytes:
    """One to eight changes; ``others`` are files of the same kind."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 2, 4, 8))):
        if not changed:
            break
        draw.choice(KINDS)(changed, draw, others)
    return bytes(changed)
