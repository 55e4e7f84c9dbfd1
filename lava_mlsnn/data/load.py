"""Datasets by name."""

from __future__ import annotations

import os
from pathlib import Path

from lava_mlsnn.checks import meant
from lava_mlsnn.data.dataset import Dataset
from lava_mlsnn.data.digits import load_digits
from lava_mlsnn.data.events import simulated
from lava_mlsnn.data.folder import Progress, load_folder
from lava_mlsnn.data.image import Fit
from lava_mlsnn.data.recordings import RECORDINGS, load_recordings
from lava_mlsnn.data.vision import VISION, load_vision
from lava_mlsnn.errors import ConfigError, DataError

__all__ = ["EVENTS", "ROOT_VARIABLE", "is_here", "load_dataset"]

ROOT_VARIABLE = "LAVA_MLSNN_DATA"
EVENTS = "-events"


def load_dataset(
    name: str,
    progress: Progress | None = None,
    *,
    timesteps: int = 1,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    fit: Fit | None = None,
    test_only: bool = False,
    colour: bool = False,
) -> Dataset:
    """Load a dataset by name.

    Parameters
    ----------
    name : str
        ``"digits"``: scikit-learn's 1,797 images of 8x8 pixels with 17 grey levels,
        450 held out by a fixed seed. ``"cifar10"``, ``"cifar100"``, ``"fashion-mnist"``:
        through torchvision. ``"n-mnist"``, ``"dvs-gesture"``, ``"cifar10-dvs"``:
        recordings of event cameras, through tonic. Or the path of a folder with
        ``train/<class>/*.png`` and ``test/<class>/*.png`` (any image format that
        Pillow reads, all of one size). Any of the image sets with ``-events`` behind
        its name: a simulated recording, see :mod:`lava_mlsnn.data.saccades`.
    progress : callable, optional
        ``progress(done, total)`` while images are read.
    timesteps : int
        T of frames of events; images have none.
    root : path, optional
        Where torchvision's and tonic's files lie; default: the environment variable
        ``LAVA_MLSNN_DATA``, or ``data``.
    download : bool
        Fetch what is missing there.
    fit : Fit, optional
        Size that images of a folder are brought to, and how.
    test_only : bool
        Leave the training samples where they are: there are none in the result. Of a folder
        ``test`` alone is looked at.
    colour : bool
        Give grey images of a folder three equal channels even where none is coloured: a
        network that takes colours may have been trained on some that are.

    Returns
    -------
    Dataset
        Training and test part, float32.

    Raises
    ------
    DataError
        If data or the package that reads it is missing, or data is unreadable.
    """
    path = Path(os.path.expanduser(name))
    folder = os.path.isdir(path)  # unlike the Path methods, no error for a name that cannot be
    images = name.rstrip("/").removesuffix(EVENTS)
    if fit is not None and not folder and not os.path.isdir(os.path.expanduser(images)):
        raise ConfigError(f"a size to bring images to is for folders of images, not for {name!r}")
    place = Path(os.path.expanduser(root or os.environ.get(ROOT_VARIABLE) or "data"))
    if name == "digits":
        digits = load_digits()  # one file
        return digits.test_part() if test_only else digits
    if name in VISION:
        return load_vision(name, place, download, test_only)
    if name in RECORDINGS:
        return load_recordings(name, place, timesteps, download, progress, test_only)
    if folder:
        return load_folder(path, progress, fit, test_only, colour)
    if images != name and _still(images):
        # in a folder, a coloured training image decides how grey ones are weighed
        some = test_only and images in VISION
        source = load_dataset(
            images, progress, root=root, download=download, fit=fit, test_only=some
        )
        if test_only:
            source = source.test_part()
        return simulated(source, f"{name}{fit or ''}", timesteps, progress)
    known = ("digits", *VISION, *RECORDINGS)
    names = ", ".join(map(repr, known))
    near = [str(p) for p in _folders(path.parent)] + [*known, *(f"{n}{EVENTS}" for n in known)]
    raise DataError(
        f"a dataset is {names} or a folder with train/<class>/ and test/<class>/ images "
        f"(images also with '-events'); there is no folder {name!r}"
        f"{meant(name, near)}"
    )


def _folders(place: Path) -> list[Path]:
    """Folders beside the one that is not there."""
    try:
        return [p for p in list(place.iterdir())[:1000] if p.is_dir() and p.name[:1] != "."]
    except (OSError, ValueError):
        return []


def is_here(name: str) -> bool:
    """Whether a name is that of a known set, fetched or not, or of a folder that exists."""
    images = name.rstrip("/").removesuffix(EVENTS)
    return name in RECORDINGS or _still(name) or _still(images)


def _still(name: str) -> bool:
    return name == "digits" or name in VISION or os.path.isdir(os.path.expanduser(name))
