"""The values of a dataset, in no more memory than its declared shape takes.

HDF5 unpacks a chunk into whatever its packed bytes ask for, makes room for whole
chunks however small the dataset is, and reads an unpacked one as long as the index of
the file says. So chunks are unpacked here, each with the size that it must have as the
bound (HDF5 File Format Specification, "Data Storage -
Filter Pipeline"; filters 1, deflate, and 2, shuffle).
"""

from __future__ import annotations

import itertools
import math
import zlib
from typing import TYPE_CHECKING

import numpy as np

from netx_export.errors import FormatError

if TYPE_CHECKING:
    import h5py

__all__ = ["stored_values"]

DEFLATE, SHUFFLE = 1, 2
MOST_CHUNKS = 1 << 16
SMALL = 1 << 20  # bytes; a chunk may be larger than its dataset up to here


def stored_values(dataset: h5py.Dataset, place: str) -> np.ndarray:
    """All values; FormatError if the stored bytes are not exactly what the shape needs."""
    import h5py

    chunk, kind, shape = dataset.chunks, dataset.dtype, dataset.shape
    need, have = math.prod(shape) * kind.itemsize, int(dataset.id.get_storage_size())
    if not chunk:
        if have < need:
            raise FormatError(f"it needs {need} bytes but holds {have}", place)
        values = np.empty(shape, kind)
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
        return values
    if h5py.h5t.py_create(kind, logical=False) != dataset.id.get_type() and kind.kind not in "bS":
        raise FormatError(f"it must be plain numbers, got a packed form of {kind}", place)
    size = math.prod(chunk) * kind.itemsize
    steps = [range(0, n, c) for n, c in zip(shape, chunk, strict=True)]
    count = math.prod(map(len, steps))
    if size > max(need, SMALL) or count > MOST_CHUNKS:
        raise FormatError(f"its {count} chunks of shape {chunk} do not suit its shape", place)
    filters = _filters(dataset, place)
    values = np.empty(shape, kind)
    for start in itertools.product(*steps):
        data = _unpacked(dataset, start, filters, size, place)
        block = np.frombuffer(data, kind).reshape(chunk)
        inside = tuple(slice(s, min(s + c, n)) for s, c, n in zip(start, chunk, shape, strict=True))
        values[inside] = block[tuple(slice(0, part.stop - part.start) for part in inside)]
    return values


def _filters(dataset: h5py.Dataset, place: str) -> list[int]:
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    if len(set(filters)) < len(filters) or not set(filters) <= {DEFLATE, SHUFFLE}:
        raise FormatError(
            f"it can be packed by gzip and shuffle, once each, got the filters {filters}", place
        )
    return filters


def _unpacked(
    dataset: h5py.Dataset, start: tuple[int, ...], filters: list[int], size: int, place: str
) -> bytes | np.ndarray:
    """One chunk, exactly ``size`` bytes."""
    packed = dataset.id.get_chunk_info_by_coord(start).size
    most = size + size // 100 + SMALL // 16  # deflate adds 0.1 % at most
    if packed > most or (packed != size and not filters):  # HDF5 would write behind its buffer
        raise FormatError(f"a chunk holds {packed} bytes where {size} are its size", place)
    mask, data = dataset.id.read_direct_chunk(start)
    for index, name in reversed(list(enumerate(filters))):
        if mask >> index & 1:  # this chunk was left as it is
            continue
        if name == DEFLATE:
            stream = zlib.decompressobj()
            data = stream.decompress(data, size + 1)
            if not stream.eof:
                raise FormatError(f"a chunk does not unpack into its {size} bytes", place)
        elif len(data) == size:
            data = _unshuffled(np.frombuffer(data, np.uint8), dataset.dtype.itemsize)
    if len(data) != size:
        raise FormatError(f"a chunk must have {size} bytes, got {len(data)}", place)
    return data


def _unshuffled(data: np.ndarray, width: int) -> np.ndarray:
    """All first bytes, then all second ones, ...: to values again."""
    values = np.empty((len(data) // width, width), np.uint8)
    for k, part in enumerate(data.reshape(width, -1)):  # one by one is the fastest
        values[:, k] = part
    return values.reshape(-1)
