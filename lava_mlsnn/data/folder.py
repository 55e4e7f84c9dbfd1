"""Images in folders, one folder per class."""

from __future__ import annotations

import math
import os
import stat
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lava_mlsnn.checks import check_memory, shown
from lava_mlsnn.data.dataset import Dataset
from lava_mlsnn.data.image import SUFFIXES, Fit, read_header, read_image
from lava_mlsnn.errors import DataError

__all__ = ["Progress", "StrayWarning", "load_folder"]

Progress = Callable[[int, int], None]


class StrayWarning(UserWarning):
    """Files that are no images were left out."""


def load_folder(
    path: Path,
    progress: Progress | None = None,
    fit: Fit | None = None,
    test_only: bool = False,
    colour: bool = False,
) -> Dataset:
    """Images of ``train/<class>/`` and ``test/<class>/``, as :mod:`lava_mlsnn.data.image` reads.

    With ``fit`` they are brought to its size, else all must have one. Files of other
    suffixes than images have are left out, as torchvision does, and named in a warning.
    Grey images have one channel, where all are grey and no ``colour`` is asked for; else they
    have three equal ones. With ``test_only`` nothing of ``train`` is looked at.
    The headers of all are read and compared first, so that what does not fit is named
    before anything is decoded.

    Raises
    ------
    DataError
        If a folder is missing, a class has no image in one of them, an image cannot be
        read or has another size, or the images do not fit into the memory.
    """
    files: dict[str, list[tuple[Path, int]]] = {"train": []}
    names: tuple[str, ...] = ()
    stray: list[Path] = []
    parts = ("test",) if test_only else ("train", "test")
    for part in parts:
        folder = path / part
        if not os.path.isdir(folder):  # no error where it cannot be looked at
            raise DataError(f"a dataset folder needs a folder {part!r}, none in {path}")
        classes = _classes(folder)
        # one name may be written in two ways, which differ between file systems
        found = tuple(unicodedata.normalize("NFC", p.name) for p in classes)
        if names and found != names:
            raise DataError(
                f"train and test must have the same classes, got {shown(names)} and {shown(found)} "
                f"in {path}"
            )
        names = found
        files[part] = []
        for label, place in enumerate(classes):
            entries = _entries(place, files=True)
            images = [p for p in entries if p.suffix.lower() in SUFFIXES]
            stray += [p for p in entries if p.suffix.lower() not in SUFFIXES]
            if not images:
                raise DataError(
                    f"every class needs image files in {' and in '.join(parts)}, found none in "
                    f"{place}"
                )
            files[part] += [(file, label) for file in images]
    if stray:
        more = f" and {len(stray) - 1} more" if len(stray) > 1 else ""
        warnings.warn(
            f"left out what is no image by its suffix: {stray[0]}{more}", StrayWarning, stacklevel=3
        )
    everything = [file for items in files.values() for file, _ in items]
    headers = [read_header(file) for file in everything]
    sides = headers[0].sides if fit is None else (fit.height, fit.width)
    for file, header in zip(everything, headers, strict=True):
        if fit is None and header.sides != sides:
            raise _other_size(file, header.sides, everything[0], sides)
    channels = max(3 if colour else 1, *(header.channels for header in headers))
    check_memory(f"the images of {path}", 4 * len(everything) * channels * math.prod(sides))
    arrays, labels, done = {}, {}, 0
    first = read_image(everything[0], fit).shape[:2]
    for part, items in files.items():
        arrays[part] = np.empty((len(items), channels, *first), np.float32)
        labels[part] = np.array([label for _, label in items], np.int64)
        for image, (file, _) in zip(arrays[part], items, strict=True):
            values = read_image(file, fit)
            if values.shape[:2] != first:
                raise _other_size(file, values.shape[:2], everything[0], first)
            image[:] = values if values.ndim == 2 else values.transpose(2, 0, 1)
            image /= np.float32(255)
            done += 1
            if progress is not None and (done % 500 == 0 or done == len(everything)):
                progress(done, len(everything))
    return Dataset(
        f"{path}{fit or ''}",
        arrays["train"],
        labels["train"],
        arrays["test"],
        labels["test"],
        names,
        127,
    )


def _other_size(file: Path, got: Any, first: Path, wanted: Any) -> DataError:
    return DataError(
        f"images must have one size, {file} has {got[0]} x {got[1]} pixels, {first} "
        f"{wanted[0]} x {wanted[1]}; scale or cut them, with --resize or with --resize and --crop"
    )


def _classes(folder: Path) -> list[Path]:
    entries = _entries(folder)
    stray = [p for p in entries if not p.is_dir() and p.suffix.lower() in SUFFIXES]
    if stray:
        raise DataError(f"images must lie in the folder of their class, {stray[0]} does not")
    classes = [p for p in entries if p.is_dir()]
    if not classes:
        raise DataError(f"expected one folder per class in {folder}, found none")
    return classes


def _entries(folder: Path, files: bool = False) -> list[Path]:
    """What lies in a folder, sorted, without hidden names.

    DataError if it cannot be read, holds a link to nothing, or with ``files`` holds
    anything but files: nothing is left out unsaid.
    """
    try:
        entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
        for entry in entries:
            mode = entry.stat().st_mode
            if files and not stat.S_ISREG(mode):
                raise DataError(
                    f"a class folder must hold image files only, {entry} is none; take it away"
                )
    except OSError as error:
        raise DataError(
            f"{error.filename or folder} cannot be read ({error.strerror}); take it away, or make "
            "it readable"
        ) from None
    return entries
