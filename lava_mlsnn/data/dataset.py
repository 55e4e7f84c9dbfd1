"""What a dataset is, and whether a network can take it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lava_mlsnn.errors import ConfigError, DataError, at

__all__ = ["Dataset", "check_fits", "check_labels"]


@dataclass(frozen=True)
class Dataset:
    """Inputs and labels.

    Attributes
    ----------
    name : str
        What was asked for.
    x_train, x_test : ndarray of float32, (N, C, H, W) or (N, C, H, W, T)
        Values in 0..1: images, or frames of events as counts / ``input_levels``.
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
        return tuple(self.x_test.shape[1:4])

    @property
    def frames(self) -> int:
        """T of the frames; 0 for images, which are shown in every timestep."""
        return self.x_test.shape[4] if self.x_test.ndim == 5 else 0


def check_labels(images: int, labels: np.ndarray, classes: int) -> None:
    """DataError unless there is one label in ``0..classes - 1`` for each of the images."""
    if labels.shape != (images,):
        raise DataError(f"{images} images need as many labels, got {labels.shape}")
    if images and not (labels.min() >= 0 and labels.max() < classes):
        raise DataError(f"labels must lie in 0..{classes - 1}, got {labels.min()}..{labels.max()}")


def check_fits(
    dataset: Dataset, shape: tuple[int, ...], classes: int, timesteps: int | None = None
) -> None:
    """DataError unless a network of this input, class count and T can take the data."""
    if dataset.shape != tuple(shape):
        raise DataError(
            f"the network takes images of shape {tuple(shape)}, but {dataset.name} has "
            f"{dataset.shape}"
        )
    if len(dataset.classes) != classes:
        raise ConfigError(
            f"the network has {classes} classes, but {dataset.name} has {len(dataset.classes)}"
        )
    for x, y in ((dataset.x_train, dataset.y_train), (dataset.x_test, dataset.y_test)):
        with at(dataset.name):
            check_labels(len(x), y, classes)
    if timesteps is not None and dataset.frames not in (0, timesteps):
        raise DataError(
            f"the network takes T = {timesteps} timesteps, but {dataset.name} has "
            f"{dataset.frames} frames; load it with timesteps={timesteps}"
        )
