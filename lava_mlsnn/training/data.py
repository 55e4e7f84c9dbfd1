"""Datasets as arrays: images in 0..1 and labels, split into train and test."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lava_mlsnn.errors import ConfigError, DataError

__all__ = ["Dataset", "load_dataset"]

Progress = Callable[[int, int], None]
TEST_SIZE = 450  # a quarter of the digits
SPLIT_SEED = 0


@dataclass(frozen=True)
class Dataset:
    """Images and labels.

    Attributes
    ----------
    name : str
        What was asked for.
    x_train, x_test : ndarray of float32, (N, C, H, W)
        Values in 0..1.
    y_train, y_test : ndarray of int64, (N,)
        Class indices.
    classes : tuple of str
        Names.
    input_levels : int
        A payload range that loses nothing of this data, or 127.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    input_levels: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return tuple(self.x_test.shape[1:])


def load_dataset(name: str, progress: Progress | None = None) -> Dataset:
    """Load a dataset by name.

    Parameters
    ----------
    name : str
        ``"digits"``: scikit-learn's 1,797 images of 8x8 pixels with 17 grey levels,
        450 held out by a fixed seed. Or the path of a folder with
        ``train/<class>/*.png`` and ``test/<class>/*.png`` (any image format that
        Pillow reads, all of one size), such as CIFAR-10 unpacked.
    progress : callable, optional
        ``progress(done, total)`` while images are read.

    Raises
    ------
    DataError
        If the folder is missing, empty, or an image is unreadable or of another size.
    """
    if name == "digits":
        return _digits()
    path = Path(os.path.expanduser(name))
    if not os.path.isdir(path):  # unlike the Path methods, no error for a name that cannot be
        raise DataError(
            f"a dataset is 'digits' or a folder with train/<class>/ and test/<class>/ images; "
            f"there is no folder {name!r}"
        )
    return _folder(path, progress)


def _digits() -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = (bunch.images / 16.0).astype(np.float32)[:, None]
    labels = bunch.target.astype(np.int64)
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels, test_size=TEST_SIZE, random_state=SPLIT_SEED, stratify=labels
    )
    names = tuple(str(n) for n in range(10))
    return Dataset("digits", x_train, y_train, x_test, y_test, names, input_levels=16)


def _folder(path: Path, progress: Progress | None) -> Dataset:
    files: dict[str, list[tuple[Path, int]]] = {}
    names: tuple[str, ...] = ()
    for part in ("train", "test"):
        folder = path / part
        if not folder.is_dir():
            raise DataError(f"a dataset folder needs a folder {part!r}, none in {path}")
        classes = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir()))
        if not classes:
            raise DataError(f"expected one folder per class in {folder}, found none")
        if names and classes != names:
            raise DataError(f"train and test must have the same classes, got {names} and {classes}")
        names = classes
        files[part] = [
            (file, label)
            for label, c in enumerate(classes)
            for file in sorted((folder / c).iterdir())
            if file.is_file() and not file.name.startswith(".")
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


def check_fits(dataset: Dataset, shape: tuple[int, ...], classes: int) -> None:
    """DataError unless a network of this input shape and class count can take the data."""
    if dataset.shape != tuple(shape):
        raise DataError(
            f"the network takes images of shape {tuple(shape)}, but {dataset.name} has "
            f"{dataset.shape}"
        )
    if len(dataset.classes) != classes:
        raise ConfigError(
            f"the network has {classes} classes, but {dataset.name} has {len(dataset.classes)}"
        )
