"""Recordings of event cameras through tonic: N-MNIST, DVS128 Gesture, CIFAR10-DVS.

tonic is under the GPL, and is therefore no dependency: it is called where it is
installed, and nothing of it is in here. Frames are made by :func:`bin_events`, over
the whole of each recording.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lava_mlsnn.data.binning import bin_events
from lava_mlsnn.data.dataset import Dataset
from lava_mlsnn.data.events import EVENT_LEVELS, as_frames
from lava_mlsnn.data.folder import Progress
from lava_mlsnn.errors import DataError, at, said

__all__ = ["RECORDINGS", "load_recordings"]

# name: (class of tonic, downsampling)
RECORDINGS = {
    "n-mnist": ("NMNIST", 1),
    "dvs-gesture": ("DVSGesture", 2),
    "cifar10-dvs": ("CIFAR10DVS", 2),
}
TRAIN_SHARE = 0.9  # CIFAR10-DVS has no split of its own: numbers 0 to 899 of each class train


def load_recordings(
    name: str,
    root: Path,
    timesteps: int,
    download: bool = False,
    progress: Progress | None = None,
    test_only: bool = False,
) -> Dataset:
    """A dataset of tonic as T frames; its files lie under ``root`` as tonic puts them.

    Parameters
    ----------
    name : str
        A key of :data:`RECORDINGS`.
    root : Path
        tonic's ``save_to``.
    timesteps : int
        T.
    download : bool
        Let tonic fetch what is missing.
    progress : callable, optional
        ``progress(done, total)`` in recordings.
    test_only : bool
        Read no training recordings.

    Raises
    ------
    DataError
        If tonic or the recordings are missing, or a recording cannot be read.
    """
    try:
        from tonic import datasets
    except ImportError:
        raise DataError(
            f"{name} is read by tonic, which is not installed; "
            "pip install 'lava-mlsnn[events]' (tonic is under the GPL)"
        ) from None
    title, downsample = RECORDINGS[name]
    kind = _careful(getattr(datasets, title), name, root, download)
    if name == "cifar10-dvs":
        parts = _split(kind(str(root)))
    else:
        both = [kind(str(root), train=train) for train in (True, False)]
        parts = [(d, _sorted(d)) for d in both]
    if test_only:
        parts[0] = parts[0][0], []
    total, done = sum(len(order) for _, order in parts), 0
    width, height, _ = kind.sensor_size
    arrays: list[np.ndarray] = []
    for source, order in parts:
        shape = (2, -(-height // downsample), -(-width // downsample), timesteps)
        x = np.empty((len(order), *shape), np.float32)
        for place, index in enumerate(order):
            with at(f"recording {source.data[index]}"):
                x[place] = _frames(source, index, (height, width), timesteps, downsample)
            done += 1
            if progress is not None and (done % 100 == 0 or done == total):
                progress(done, total)
        arrays += [x, np.array([source.targets[i] for i in order], np.int64)]
    classes = kind.classes
    if isinstance(classes, dict):  # name: index
        classes = sorted(classes, key=lambda c: classes[c])
    x_train, y_train, x_test, y_test = arrays
    names = tuple(str(c) for c in classes)
    return Dataset(name, x_train, y_train, x_test, y_test, names, EVENT_LEVELS)


def _careful(kind: Any, name: str, root: Path, download: bool) -> Any:
    """Tonic's class, which fetches nothing unasked and takes what there is."""
    if download:
        return kind

    def check(self: Any) -> bool:
        folder = Path(self.location_on_system) / self.folder_name
        endings = (".bin", ".npy", ".aedat4")
        if any(f.suffix in endings for f in folder.rglob("*")):
            return True
        raise DataError(
            f"{name} was not found in {folder}; name its folder in the environment "
            "variable LAVA_MLSNN_DATA ('mlsnn train' also takes --data-root, and --download lets "
            "tonic fetch it)"
        )

    return type(kind.__name__, (kind,), {"_check_exists": check})


def _sorted(source: Any) -> list[int]:
    """Recordings by path, 9 before 10: tonic lists them as the file system does."""
    return sorted(range(len(source.data)), key=lambda i: natural(str(source.data[i])))


def natural(path: str) -> list[tuple[int, str]]:
    """Sorting key of a path, whose numbers are ordered as numbers."""
    return [(int(p), p) if p.isdecimal() else (0, p) for p in re.split(r"([0-9]+)", path)]


def _split(source: Any) -> list[tuple[Any, Sequence[int]]]:
    train: list[int] = []
    test: list[int] = []
    targets = np.asarray(source.targets)
    for label in np.unique(targets):
        of = [i for i in _sorted(source) if targets[i] == label]
        cut = int(len(of) * TRAIN_SHARE)
        train += of[:cut]
        test += of[cut:]
    return [(source, train), (source, test)]


def _frames(
    source: Any, index: int, shape: tuple[int, int], timesteps: int, downsample: int
) -> np.ndarray:
    try:
        events, _ = source[index]
        t, x, y, p = (np.asarray(events[key]) for key in "txyp")
    except Exception as error:  # readers of five formats, which raise what they like
        raise DataError(f"it cannot be read ({type(error).__name__}: {said(error)})") from None
    counts = bin_events(t, x, y, p, shape=shape, timesteps=timesteps, downsample=downsample)
    return as_frames(counts)
