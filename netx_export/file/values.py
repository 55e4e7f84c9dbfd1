"""How values lie in the file: written so that the same network gives the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netx_export.errors import FormatError
from netx_export.file import schema

if TYPE_CHECKING:
    import h5py

__all__ = ["printable", "put_array", "put_fields", "put_text", "put_type"]

COMPRESS_FROM = 1024  # elements; chunks cost more than they save below
CHUNK = 1 << 18  # bytes: whole rows, which are read in one piece


def put_fields(handle: h5py.Group, fields: dict[str, Any]) -> None:
    """Numbers and strings, one dataset each."""
    for name, value in fields.items():
        if isinstance(value, str):
            put_text(handle, name, value)
        elif isinstance(value, bool | int | float | np.number | np.bool_):
            handle[name] = np.asarray(value)
        else:
            raise FormatError(
                f"a parameter of a neuron must be a number or a string, got {value!r}",
                f"{schema.NEURON}/{name}",
            )


def put_array(handle: h5py.Group, name: str, values: np.ndarray) -> None:
    """An array, compressed where that pays."""
    large = values.size >= COMPRESS_FROM
    rows = CHUNK * len(values) // values.nbytes if large else 0
    handle.create_dataset(
        name,
        data=values,
        chunks=(min(rows, len(values)), *values.shape[1:]) if rows else None,
        compression="gzip" if large else None,
        shuffle=large or None,
        track_times=False,
    )


def put_type(handle: h5py.Group, name: str) -> None:
    """The type of a layer or synapse, as lava-dl writes it."""
    handle[schema.TYPE] = np.array([name.encode("ascii")], "S10")


def put_text(handle: h5py.Group, name: str, text: str) -> None:
    """A fixed-length UTF-8 string."""
    import h5py

    data = printable(name, text).encode("utf-8")
    handle.create_dataset(
        name, data=data, dtype=h5py.string_dtype("utf-8", len(data)), track_times=False
    )


def printable(name: str, text: str) -> str:
    """The text, if every format can hold it; FormatError names the field."""
    if not text or not text.isprintable():  # surrogates and NUL are not printable either
        raise FormatError(f"{name} must be printable text, got {text!r}", name)
    return text
