"""Images in folders, one folder per class."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lava_mlsnn.data.dataset import Dataset
from lava_mlsnn.errors import DataError

__all__ = ["Progress", "load_folder"]

Progress = Callable[[int, int], None]


def load_folder(path: Path, progress: Progress | None = None) -> Dataset:
    """Images of ``train/<class>/`` and ``test/<class>/``, any format that Pillow reads.

    Raises
    ------
    DataError
        If a folder is missing or empty, or an image is unreadable or of another size.
    """
    files: dict[str, list[tuple[Path, int]]] = {}
    names: tuple[str, ...] = ()
    for part in ("train", "test"):
        folder = path / part
        if not os.path.isdir(folder):  # no error where it cannot be looked at
            raise DataError(f"a dataset folder needs a folder {part!r}, none in {path}")
        classes = tuple(p.name for p in _entries(folder) if p.is_dir())
        if not classes:
            raise DataError(f"expected one folder per class in {folder}, found none")
        if names and classes != names:
            raise DataError(f"train and test must have the same classes, got {names} and {classes}")
        names = classes
        files[part] = [
            (file, label)
            for label, c in enumerate(classes)
            for file in _entries(folder / c, files=True)
        ]
        if not files[part]:
            raise DataError(f"expected image files in {folder}, found none")
    total = sum(len(f) for f in files.values())
    done = 0
    arrays: dict[str, np.ndarray] = {}
    shape: tuple[int, ...] | None = None
    for part, items in files.items():
        images: np.ndarray | None = None
        for index, (file, _) in enumerate(items):
            image = _read_image(file)
            if shape is None:
                shape = image.shape
            if image.shape != shape:
                raise DataError(
                    f"images must have one size, {file} is {image.shape}, others {shape}"
                )
            if images is None:
                images = np.empty((len(items), *shape), np.float32)
            images[index] = image
            done += 1
            if progress is not None and (done % 500 == 0 or done == total):
                progress(done, total)
        assert images is not None
        arrays[part] = images
    labels = {part: np.array([y for _, y in items], np.int64) for part, items in files.items()}
    return Dataset(
        str(path), arrays["train"], labels["train"], arrays["test"], labels["test"], names, 127
    )


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


def _read_image(file: Path) -> np.ndarray:
    from PIL import Image

    bomb = Image.DecompressionBombError  # also what a damaged size looks like
    try:
        with Image.open(file) as image:
            if image.mode[0] in "IF":  # Pillow would cut values off at 255
                raise ValueError(f"it has more than 8 bits a channel, mode {image.mode}")
            array = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except (OSError, SyntaxError, ValueError, bomb) as error:
        raise DataError(f"{file} is not an image that can be read ({error})") from None
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return array.astype(np.float32) / 255.0
