"""What a dataset is, and whether a network can take it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lava_mlsnn.checks import check_number, check_whole, shown
from lava_mlsnn.data.class_names import match_classes
from lava_mlsnn.errors import ConfigError, DataError, at, said

__all__ = ["HELD_OUT", "Dataset", "as_labels", "as_samples", "check_fits", "check_labels"]


HELD_OUT = re.compile(r" \(validation( [^()]*)?\)$")  # in the name of Dataset.validation


@dataclass(frozen=True)
class Dataset:
    """Inputs and labels; lists, other number types and strides become plain arrays.

    Attributes
    ----------
    name : str
        What was asked for.
    x_train, x_test : ndarray of float32, (N, C, H, W) or (N, C, H, W, T)
        Values in 0..1: images, or frames of events as counts / ``input_levels``.
    y_train, y_test : ndarray of int64, (N,)
        Class indices.
    classes : tuple of str
        Names, which travel with a network that is trained on them.
    input_levels : int
        A payload range that loses nothing of this data, or 127.

    Raises
    ------
    DataError
        If these are no numbers, labels no whole numbers, or two classes have one name.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    input_levels: int

    def __post_init__(self) -> None:
        with at(str(self.name)):
            for part in ("train", "test"):
                object.__setattr__(self, f"x_{part}", as_samples(getattr(self, f"x_{part}")))
                object.__setattr__(self, f"y_{part}", as_labels(getattr(self, f"y_{part}")))
            classes = tuple(str(name) for name in self.classes)
            if len(set(classes)) < len(classes):
                raise DataError(f"classes need names of their own, got {shown(classes)}")
            object.__setattr__(self, "classes", classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return tuple(self.x_test.shape[1:4])

    @property
    def frames(self) -> int:
        """T of the frames; 0 for images, which are shown in every timestep."""
        return self.x_test.shape[4] if self.x_test.ndim == 5 else 0

    def test_part(self) -> Dataset:
        """The same without training samples."""
        return replace(self, x_train=self.x_train[:0], y_train=self.y_train[:0])

    def validation(self, share: float = 0.2, seed: int = 0) -> Dataset:
        """A part of the training samples in place of the test samples, to choose options by.

        The name says which: ``"digits (validation 0.2)"``, so that a training that goes on
        goes on with the same samples.

        Parameters
        ----------
        share : float
            Of every class, above 0 and below 1; at least one sample is held out and one kept.
        seed : int
            Which samples; the test samples have no part in it.

        Raises
        ------
        ConfigError
            For another share.
        DataError
            If a class has less than two training samples.
        """
        if check_number("share", share, 0, 1, above=True) == 1:
            raise ConfigError("share must be below 1 (training would have no samples), got 1")
        rng = np.random.default_rng(check_whole("seed", seed, 0, 2**63 - 1))
        held = np.zeros(len(self.y_train), bool)
        for label in np.unique(self.y_train):
            places = np.flatnonzero(self.y_train == label)
            if len(places) < 2:
                raise DataError(
                    f"a validation split needs two training samples of every class, {self.name} "
                    f"has one of {self.classes[label]!r}; add samples, or train without the split "
                    "(--validation 0)"
                )
            count = min(max(1, round(share * len(places))), len(places) - 1)
            held[rng.permutation(places)[:count]] = True
        return replace(
            self,
            name=f"{self.name} (validation {share:g}{f', seed {seed}' if seed else ''})",
            x_train=self.x_train[~held],
            y_train=self.y_train[~held],
            x_test=self.x_train[held],
            y_test=self.y_train[held],
        )

    def counted_as(self, names: tuple[str, ...], who: str = "the network") -> Dataset:
        """The same data with the class numbers of a network that has these names.

        Raises
        ------
        DataError
            For other names: what each output means would be a guess. Where either side
            has none nothing can be compared, and the data stays as it is.
        """
        with at(self.name):
            number = match_classes(names, self.classes, who)
            if number is None or tuple(names) == self.classes:
                return self
            for x, y in ((self.x_train, self.y_train), (self.x_test, self.y_test)):
                check_labels(len(x), y, len(names))
        return replace(
            self,
            y_train=number[self.y_train],
            y_test=number[self.y_test],
            classes=tuple(names),
        )


def as_samples(values: Any) -> np.ndarray:
    """Samples as a contiguous float32 array, without a copy where they are one."""
    array = _array("samples", values)
    if array.dtype.kind not in "buif":
        raise DataError(f"samples must be numbers, got {shown(array.dtype)}")
    return np.ascontiguousarray(array, np.float32)


def as_labels(values: Any) -> np.ndarray:
    """Labels as int64; DataError for what are no whole numbers."""
    array = _array("labels", values)
    if array.size and array.dtype.kind == "f" and np.all(array == np.rint(array)):
        array = array.clip(-(2**62), 2**62)  # infinities stay out of every range
    elif array.size and array.dtype.kind not in "bui":
        raise DataError(
            f"labels must be whole numbers, the places of the classes, got {shown(values)}"
        )
    return np.ascontiguousarray(array, np.int64)


def _array(what: str, values: Any) -> np.ndarray:
    if np.ma.is_masked(values):
        raise DataError(f"{what} must be whole, got a masked array; fill in what is masked")
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists, tensors of a GPU
        raise DataError(f"{what} must be one array of numbers ({said(error)})") from None


def check_labels(images: int, labels: np.ndarray, classes: int) -> None:
    """DataError unless there is one label in ``0..classes - 1`` for each of the images."""
    if labels.shape != (images,):
        raise DataError(f"{images} images need as many labels, got {labels.shape}")
    if images and not (labels.min() >= 0 and labels.max() < classes):
        raise DataError(f"labels must lie in 0..{classes - 1}, got {labels.min()}..{labels.max()}")


def check_fits(
    dataset: Dataset, shape: tuple[int, ...], classes: int, timesteps: int | None = None
) -> None:
    """DataError unless a network of this input, class count and T can take the data.

    Parameters
    ----------
    dataset : Dataset
        The data.
    shape : tuple of int
        (C, H, W) of the network's input.
    classes : int
        Its outputs.
    timesteps : int, optional
        Its T; left out, T is not compared.
    """
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
        if len(x) and not (math.isfinite(x.min()) and math.isfinite(x.max())):
            raise DataError(f"images must be finite numbers, those of {dataset.name} are not")
        if x.shape[1:] != dataset.x_test.shape[1:]:
            raise DataError(
                f"training and test images must have one shape, {dataset.name} has "
                f"{x.shape[1:]} and {dataset.x_test.shape[1:]}"
            )
    if timesteps is not None and dataset.frames not in (0, timesteps):
        raise DataError(
            f"the network takes T = {timesteps} timesteps, but {dataset.name} has "
            f"{dataset.frames} frames; load it with timesteps={timesteps}"
        )
