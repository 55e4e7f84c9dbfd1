"""Typed, checked access to one HDF5 group: the only code that reads through h5py.

Everything that h5py or HDF5 raises on a damaged file becomes a FormatError here.
Nothing is allocated before its declared size has been checked, and everything stands
in one place: a file costs time and memory for what it holds and declares, no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from netx_export.errors import FormatError, MLSNNError, RangeError, at, said
from netx_export.file.chunks import stored_values
from netx_export.file.heap import heap_string
from netx_export.spec import limits

if TYPE_CHECKING:
    import h5py

__all__ = ["Node", "attribute", "readable", "whole_numbers"]

MOST_TEXT = 1 << 16
MOST_PACKED = 1100  # deflate packs no tighter; more is a damaged or hostile shape
SMALL = 1 << 20
MOST_VALUES = limits.MAX_ALL_WEIGHTS + limits.MAX_ALL_NEURONS
UNSET: Any = object()


@contextmanager
def readable(place: str = "") -> Iterator[None]:
    """Turn any error of h5py inside into one FormatError at ``place``."""
    try:
        yield
    except MLSNNError:
        raise
    except MemoryError:
        raise FormatError("it is too large for the memory", place) from None
    except Exception as error:  # h5py raises almost every built-in type on damaged files
        raise FormatError(
            f"it cannot be read, the file is damaged ({said(error)}); copy or export it again",
            place,
        ) from None


def attribute(file: h5py.File, name: str) -> int | str:
    """A root attribute: one whole number or one string of fixed length.

    Attributes of variable length are refused: HDF5 itself fails hard on damaged ones.
    """
    with readable(name):
        raw = file.attrs.get_id(name)
        if raw.shape == () and raw.dtype.kind in "iu":
            return int(file.attrs[name])
        if raw.shape == () and raw.dtype.kind == "S":
            return bytes(file.attrs[name]).decode("utf-8")
        raise FormatError(
            f"it must be a whole number or a string of fixed length, got {raw.dtype} of "
            f"shape {raw.shape}",
            name,
        )


class Budget:
    """Values that a file may still declare, all its datasets together, and its bytes."""

    def __init__(self, group: h5py.Group) -> None:
        self.left = MOST_VALUES
        self.bytes = int(group.file.id.get_filesize())


class Node:
    """One group; ``path`` names it in messages, relative to its layer."""

    def __init__(self, group: h5py.Group, path: str = "", budget: Budget | None = None) -> None:
        self._group = group
        self._path = path
        self._budget = budget or Budget(group)
        self._opened: dict[str, Any] = {}

    def place(self, name: str) -> str:
        """The field's path for messages."""
        return f"{self._path}{name}"

    def names(self) -> list[str]:
        """What the group holds."""
        place = self._path.rstrip("/")
        with readable(place):
            if len(self._group) > limits.MAX_LAYERS:
                raise FormatError(
                    f"a group can hold {limits.MAX_LAYERS} names at most, got {len(self._group)}",
                    place,
                )
            return [str(name) for name in self._group]

    def __contains__(self, name: str) -> bool:
        with readable(self.place(name)):
            return bool(self._group.id.links.exists(name.encode()))

    def _open(self, name: str) -> Any:
        if name not in self._opened:
            self._opened[name] = self._found(name)
        return self._opened[name]

    def _found(self, name: str) -> Any:
        import h5py

        place = self.place(name)
        with readable(place):
            held, key = self._group.id, name.encode()  # h5py's own way asks for far more
            if not held.links.exists(key):
                raise FormatError("the file lacks it; export the network again", place)
            link = held.links.get_info(key).type
            if link != h5py.h5l.TYPE_HARD:
                kind = "SoftLink" if link == h5py.h5l.TYPE_SOFT else "ExternalLink"
                raise FormatError(f"it must be in the file itself, got a {kind}", place)
            found = h5py.h5o.open(held, key)
            names = h5py.h5o.get_info(found).rc
            if names != 1:
                raise FormatError(f"it must have one name, but {names} lead to it", place)
            kinds = {h5py.h5g.GroupID: h5py.Group, h5py.h5d.DatasetID: h5py.Dataset}
            return kinds[type(found)](found) if type(found) in kinds else found

    def group(self, name: str, path: str | None = None) -> Node:
        """A subgroup, which messages call ``path``; default: its place in this one."""
        import h5py

        found = self._open(name)
        if not isinstance(found, h5py.Group):
            raise FormatError("it must be a group, got a dataset", self.place(name))
        return Node(found, f"{self.place(name)}/" if path is None else path, self._budget)

    def is_group(self, name: str) -> bool:
        """Whether the name is a subgroup."""
        import h5py

        return isinstance(self._open(name), h5py.Group)

    def _dataset(self, name: str, most: int) -> h5py.Dataset:
        import h5py

        place = self.place(name)
        found = self._open(name)
        if not isinstance(found, h5py.Dataset):
            raise FormatError("it must be a dataset, got a group", place)
        with readable(place):
            made, shape = found.id.get_create_plist(), found.shape
            if made.get_external_count() or made.get_layout() == h5py.h5d.VIRTUAL:
                raise FormatError("its data must be in the file itself, not in another", place)
            if shape is None:
                raise FormatError("it holds no data", place)
            size = prod(shape)
            if size > most:
                raise FormatError(
                    f"it can have {most} values at most, but declares shape {shape}", place
                )
            need, have = size * found.dtype.itemsize, int(found.id.get_storage_size())
            if have > self._budget.bytes:
                raise FormatError(f"it claims {have} bytes, more than the file has", place)
            if size and not have:
                raise FormatError("it declares a shape but holds no data", place)
            if need > SMALL and need > have * MOST_PACKED:
                raise FormatError(
                    f"it declares shape {shape}, which its {have} bytes cannot hold", place
                )
        return found

    def text(self, name: str) -> str:
        """A string: scalar or of shape (1,), fixed or variable length."""
        place = self.place(name)
        dataset = self._dataset(name, 1)
        with readable(place):
            if dataset.size != 1:
                raise FormatError(f"it must be one string, got shape {dataset.shape}", place)
            if dataset.dtype.kind == "S" and dataset.dtype.itemsize <= MOST_TEXT:
                data = stored_values(dataset, place).item()
            else:
                data = _variable_length(dataset, place)
            return _printable(data, place)

    def array(self, name: str, ndim: int | None = None, most: int = limits.MAX_WEIGHTS) -> Any:
        """Finite numbers, in the file's own type (bool becomes int8)."""
        place = self.place(name)
        dataset = self._dataset(name, most)
        with readable(place):
            kind = dataset.dtype.kind
            if kind not in "iufb" or dataset.dtype.itemsize > 8:
                raise FormatError(f"it must be numbers, got {dataset.dtype}", place)
            if ndim is not None and dataset.ndim != ndim:
                raise FormatError(f"it must have {ndim} axes, got shape {dataset.shape}", place)
            self._budget.left -= dataset.size
            if self._budget.left < 0:
                raise FormatError(
                    f"the file holds more than {MOST_VALUES} values up to here", place
                )
            values = stored_values(dataset, place)
            if kind == "b":
                values = values.astype(np.int8)
        if kind == "f" and not np.all(np.isfinite(values)):
            raise RangeError("it must be finite, got NaN or infinity", place)
        return values

    def whole(
        self, name: str, ndim: int, low: int, high: int, most: int = limits.MAX_WEIGHTS
    ) -> np.ndarray:
        """Whole numbers in ``low..high``, in the file's own integer type."""
        values = self.array(name, ndim, most)
        with at(self.place(name)):
            return whole_numbers(values, low, high)

    def scalar(self, name: str, default: Any = UNSET) -> int | float | bool:
        """One number: scalar or of shape (1,)."""
        if default is not UNSET and name not in self:
            value: int | float | bool = default
            return value
        array = self.array(name, most=1)
        if array.size != 1:
            raise FormatError(f"it must be one number, got shape {array.shape}", self.place(name))
        number: int | float | bool = array.reshape(-1)[0].item()
        return number

    def integer(self, name: str, low: int, high: int, default: Any = UNSET) -> int:
        """One whole number in ``low..high``."""
        value = self.scalar(name, default)
        if value != int(value):
            raise RangeError(f"it must be a whole number, got {value}", self.place(name))
        if not low <= value <= high:
            raise RangeError(f"it must lie in {low}..{high}, got {value}", self.place(name))
        return int(value)

    def value(self, name: str) -> int | float | bool | str:
        """One number or string."""
        dataset = self._dataset(name, limits.MAX_WEIGHTS)
        with readable(self.place(name)):
            is_text = dataset.dtype.kind in "SO"
        return self.text(name) if is_text else self.scalar(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape that a dataset declares; nothing is read."""
        return tuple(int(n) for n in self._dataset(name, limits.MAX_WEIGHTS).shape)

    def size(self, name: str) -> int:
        """Number of values that a dataset declares."""
        return prod(self.shape(name))

    def flag(self, name: str) -> bool:
        """Yes or no."""
        return bool(self.integer(name, 0, 1))

    def integers(self, name: str, low: int, high: int) -> tuple[int, ...]:
        """A short list of whole numbers."""
        values = self.array(name, most=1 << 12)
        with at(self.place(name)):
            if values.ndim > 1:
                raise FormatError(f"it must be a list of numbers, got shape {values.shape}")
            return tuple(int(v) for v in whole_numbers(values.reshape(-1), low, high, np.int64))


def whole_numbers(
    values: np.ndarray, low: int, high: int, dtype: type[np.integer] | None = None
) -> np.ndarray:
    """Whole numbers of any type in ``low..high`` as integers, of their own type where they are."""
    if values.dtype.kind == "f" and np.any(values != np.rint(values)):
        bad = values[values != np.rint(values)].ravel()[0]
        raise RangeError(f"it must hold whole numbers, got {bad}")
    if values.size and (values.min() < low or values.max() > high):
        raise RangeError(f"it must lie in {low}..{high}, got {values.min()}..{values.max()}")
    own = values.dtype if values.dtype.kind in "iu" else np.dtype(np.int32)
    return values.astype(dtype or own, copy=False)


def _variable_length(dataset: h5py.Dataset, place: str) -> bytes:
    """A variable-length string, without HDF5's own reading of it (see ``heap``)."""
    import h5py

    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is None:
        raise FormatError(f"it must be a string, got {dataset.dtype}", place)
    file, offset = dataset.file, dataset.id.get_offset()
    sizes = file.id.get_create_plist().get_sizes()
    if offset is None or sizes != (8, 8) or file.userblock_size:
        raise FormatError("it must be a string of fixed length", place)
    with at(place), open(file.filename, "rb") as raw:
        return heap_string(raw, offset)


def _printable(data: bytes, place: str) -> str:
    text = data.decode("utf-8", "replace").rstrip("\0")
    if not text or "\ufffd" in text or not text.isprintable():
        raise FormatError(f"it must be printable text, got {text[:80]!r}", place)
    return text
