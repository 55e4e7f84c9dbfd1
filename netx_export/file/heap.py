"""Variable-length strings of HDF5, read with every length checked.

lava-dl writes them. HDF5 itself trusts the length that the dataset states over the
one in its heap, and ends the whole program if a damaged file has another there;
so the 16 bytes of the reference and the heap are read here (HDF5 File Format
Specification, "Global Heap": collections ``GCOL`` of numbered, sized objects).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from netx_export.errors import FormatError

__all__ = ["heap_string"]

REFERENCE = struct.Struct("<IQI")  # length, address of the collection, object number
COLLECTION = struct.Struct("<4sB3xQ")  # signature, version, size with this header
OBJECT = struct.Struct("<HH4xQ")  # number, reference count, size
MOST_HEAP = 1 << 24
DAMAGED = "it cannot be read, the file is damaged; copy or export it again"


def heap_string(file: BinaryIO, offset: int) -> bytes:
    """The variable-length string whose reference stands at ``offset`` of the file.

    Raises
    ------
    FormatError
        If reference and heap do not agree.
    """
    length, address, number = REFERENCE.unpack(_bytes(file, offset, REFERENCE.size))
    signature, version, size = COLLECTION.unpack(_bytes(file, address, COLLECTION.size))
    if signature != b"GCOL" or version != 1 or not COLLECTION.size < size <= MOST_HEAP:
        raise FormatError(DAMAGED)
    heap = _bytes(file, address, size)
    position = COLLECTION.size
    while position + OBJECT.size <= size:
        found, _, held = OBJECT.unpack_from(heap, position)
        position += OBJECT.size
        if found == 0 or position + held > size:  # free space: the end
            break
        if found == number:
            if length > held:
                break
            return heap[position : position + length]
        position += -(-held // 8) * 8
    raise FormatError(DAMAGED)


def _bytes(file: BinaryIO, offset: int, size: int) -> bytes:
    if offset >= 1 << 62:
        raise FormatError(DAMAGED)
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise FormatError(DAMAGED)
    return data
