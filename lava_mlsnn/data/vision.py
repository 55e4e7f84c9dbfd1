"""CIFAR-10, CIFAR-100 and Fashion-MNIST through torchvision."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lava_mlsnn.data.dataset import Dataset, check_labels
from lava_mlsnn.errors import DataError, said

__all__ = ["VISION", "load_vision"]

VISION = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "fashion-mnist": "FashionMNIST"}


def load_vision(name: str, root: Path, download: bool = False, test_only: bool = False) -> Dataset:
    """A dataset of torchvision, whose files lie under ``root`` as torchvision puts them.

    Parameters
    ----------
    name : str
        A key of :data:`VISION`.
    root : Path
        torchvision's ``root``.
    download : bool
        Let torchvision fetch what is missing.
    test_only : bool
        Read no training images.

    Raises
    ------
    DataError
        If torchvision or the files are missing, or the files are damaged.
    """
    try:
        from torchvision import datasets
    except ImportError:
        raise DataError(
            f"{name} is read by torchvision, which is not installed; "
            "pip install 'lava-mlsnn[vision]'"
        ) from None
    kind = getattr(datasets, VISION[name])
    arrays: list[np.ndarray] = []
    classes: list[str] = []
    try:
        for train in (False,) if test_only else (True, False):
            found = kind(str(root), train=train, download=download)
            images, labels = np.asarray(found.data), np.asarray(found.targets, np.int64)
            classes = list(found.classes)
            check_labels(len(images), labels, len(classes))
            images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
            # one copy: 50,000 colour images are 600 MB
            arrays.append(np.divide(images, np.float32(255), dtype=np.float32))
            arrays.append(labels)
    except Exception as error:  # of torchvision, pickle and NumPy, which raise what they like
        raise DataError(
            f"{name} was not found whole in {root} ({said(error)}); name its "
            "folder in the environment variable LAVA_MLSNN_DATA ('mlsnn train' also takes "
            "--data-root, and --download lets torchvision fetch it)"
        ) from None
    if test_only:
        arrays = [part[:0] for part in arrays] + arrays
    x_train, y_train, x_test, y_test = arrays
    return Dataset(name, x_train, y_train, x_test, y_test, tuple(classes), 127)
