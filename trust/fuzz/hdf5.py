"""Mutations of an HDF5 file that leave it one: groups, datasets, links, types, values."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trust.fuzz.targets import Mutate

__all__ = ["mutation"]

TYPES = ("i1", "u1", "i2", ">i2", "i4", "i8", "u8", "f2", "f4", ">f8", "c8", "?", "S1", "S10", "O")
VALUES = (0, 1, -1, 2, 3, 7, 127, 128, 255, 256, -256, 1 << 15, 1 << 23, -(1 << 23), 1 << 24,
          1 << 31, 1 << 40, 0.5, -0.25, 1e30, float("nan"), float("inf"))  # fmt: skip
SIZES = (0, 1, 2, 3, 4, 7, 10, 64, 1 << 12, 1 << 16, 1 << 26)
WORDS = ("input", "flatten", "dense", "conv", "convT", "convtranspose", "identity", "residual",
         "pool", "average", "CUBA", "LOIHI", "SDNN", "multilevel", "readout", "", "x", "\x1b[31m",
         "[link=x]", "a" * 300)  # fmt: skip


def _replace(file: h5py.File, name: str, **options: Any) -> None:
    del file[name]
    file.create_dataset(name, **options)


def _value(file: h5py.File, name: str, draw: random.Random) -> None:
    data = file[name]
    value = draw.choice(VALUES)
    if data.dtype.kind in "SO":
        _replace(file, name, data=draw.choice(WORDS).encode())
    elif data.shape and data.size and draw.random() < 0.7:
        values = data[()]
        with np.errstate(all="ignore"):
            values.reshape(-1)[draw.randrange(values.size)] = np.asarray(value).astype(values.dtype)
        data[...] = values
    else:
        _replace(file, name, data=value)


def _type(file: h5py.File, name: str, draw: random.Random) -> None:
    data, kind = file[name], draw.choice(TYPES)
    with np.errstate(all="ignore"):
        values = np.asarray(data[()])
        if kind in ("S1", "S10", "O"):
            values = values.astype(kind if kind != "O" else "S10")
            if kind == "O":
                _replace(file, name, shape=values.shape, dtype=h5py.string_dtype())
                return
        else:
            values = np.zeros(values.shape, kind) if values.dtype.kind in "SO" else values.astype(
                kind)  # fmt: skip
    _replace(file, name, data=values)


def _shape(file: h5py.File, name: str, draw: random.Random) -> None:
    data = file[name]
    if data.dtype.kind == "O" or draw.random() < 0.3:
        _replace(file, name, data=h5py.Empty("i4"))
        return
    shape = list(data.shape)
    if shape and draw.random() < 0.6:
        shape[draw.randrange(len(shape))] = draw.choice(SIZES)
    else:
        shape.insert(draw.randrange(len(shape) + 1), draw.choice((1, 1, 2)))
    chunks: Any = None
    if shape and draw.random() < 0.5:
        chunks = tuple(max(1, min(n, draw.choice(SIZES), 64)) for n in shape)
    packed = draw.choice((None, "gzip", "lzf")) if chunks else None
    whole = int(np.prod([float(n) for n in shape])) <= 1 << 14
    _replace(file, name, shape=tuple(shape), dtype=data.dtype, chunks=chunks, compression=packed)
    if whole and draw.random() < 0.7 and data.dtype.kind != "S":
        file[name][...] = 1


def _delete(file: h5py.File, name: str, draw: random.Random) -> None:
    del file[name]


def _link(file: h5py.File, name: str, draw: random.Random) -> None:
    names: list[str] = []
    file.visit(names.append)
    other = draw.choice(names)
    link = draw.choice((
        h5py.SoftLink("/" + other), h5py.SoftLink("/nowhere"), h5py.ExternalLink("/dev/zero", "/"),
        h5py.ExternalLink("other.net", "/layer"), file[other],
    ))  # fmt: skip
    del file[name]
    file[name] = link


def _copy(file: h5py.File, name: str, draw: random.Random) -> None:
    """Something else of the file in its place, or beside it."""
    names: list[str] = []
    file.visit(names.append)
    other = draw.choice(names)
    if draw.random() < 0.6:
        del file[name]
        file.copy(other, name)
    else:
        number = str(draw.randrange(6))
        file.copy(name, f"{name.rsplit('/', 1)[0]}/{draw.choice((number, 'x', 'bias'))}")


def _attribute(file: h5py.File, name: str, draw: random.Random) -> None:
    names = [*file.attrs, "timesteps", "x"]
    key = draw.choice(names)
    value = draw.choice((*VALUES, *(w.encode() for w in WORDS), b"{}", b'["a", "b"]', b"[" * 999))
    if draw.random() < 0.2:
        file.attrs.pop(key, None)
    else:
        file.attrs[key] = np.bytes_(value) if isinstance(value, bytes) else value


KINDS = (_value, _value, _value, _type, _shape, _shape, _delete, _link, _copy, _attribute)


def mutation(place: Path) -> Mutate:
    """One to three changes; what HDF5 does not do is left out. ``place``: a file to work in."""

    def mutated(data: bytes, draw: random.Random, others: Sequence[bytes]) -> bytes:
        place.write_bytes(data)
        try:
            with h5py.File(place, "r+") as file:
                for _ in range(draw.choice((1, 1, 2, 3))):
                    _change(file, draw)
            return place.read_bytes()
        finally:
            place.unlink(missing_ok=True)

    return mutated


def _change(file: h5py.File, draw: random.Random) -> None:
    names: list[str] = []
    file.visit(names.append)
    kind = draw.choice(KINDS)
    if kind in (_value, _type, _shape):
        names = [n for n in names if isinstance(file.get(n), h5py.Dataset)]
    with contextlib.suppress(OSError, RuntimeError, TypeError, ValueError, KeyError, IndexError):
        kind(file, draw.choice(names), draw)
