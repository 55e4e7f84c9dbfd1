"""Mutations of an image that leave its container whole: PNG's chunks with right check sums."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence

from trust.fuzz import bytewise

__all__ = ["mutated"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KINDS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"acTL", b"fcTL", b"gAMA", b"iTXt")


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], len(SIGNATURE)
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        found.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    return found


def mutated(data: bytes, draw: random.Random, others: Sequence[bytes]) -> bytes:
    """One to three chunks changed, moved, dropped or made; other formats byte by byte."""
    if not data.startswith(SIGNATURE):
        return bytewise.mutated(data, draw, others)
    chunks = _chunks(data)
    for _ in range(draw.choice((1, 1, 2, 3))):
        place = draw.randrange(len(chunks) or 1)
        how = draw.random()
        if how < 0.6 and chunks:
            kind, content = chunks[place]
            if kind == b"IDAT" and draw.random() < 0.5:
                rows = zlib.decompressobj().decompress(content, 1 << 20)
                content = zlib.compress(bytewise.mutated(rows, draw, [rows]))
            else:
                content = bytewise.mutated(content, draw, [c for _, c in chunks])
            chunks[place] = kind, content
        elif how < 0.7 and chunks:
            del chunks[place]
        elif how < 0.8 and chunks:
            chunks.insert(draw.randrange(len(chunks)), chunks.pop(place))
        else:
            chunks.insert(place, (draw.choice(KINDS), draw.randbytes(draw.choice((0, 1, 6, 26)))))
    made = [SIGNATURE]
    for kind, content in chunks:
        made.append(struct.pack(">I", len(content)) + kind + content)
        made.append(struct.pack(">I", zlib.crc32(kind + content)))
    return b"".join(made)
