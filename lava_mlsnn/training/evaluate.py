"""Accuracy over a dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from lava_mlsnn.data.class_names import match_classes, names_of, warn_unnamed
from lava_mlsnn.data.dataset import as_labels, as_samples, check_labels
from lava_mlsnn.errors import DataError
from lava_mlsnn.models import MultiLevelNetwork
from lava_mlsnn.population.hooks import evaluating
from lava_mlsnn.slayer import precision

__all__ = ["accuracy"]

BATCH = 256


def accuracy(
    model: MultiLevelNetwork,
    x: Any,
    y: Any,
    kind: str = "integer",
    class_names: Sequence[str] = (),
) -> float:
    """Fraction of correct classes, 0..1.

    Parameters
    ----------
    model : MultiLevelNetwork
        Or any module with scores (N, classes); its ``class_names`` say what they are of.
    x : array, (N, C, H, W) or (N, C, H, W, T)
        Samples; any number type, made float32.
    y : array of int, (N,)
        Labels.
    kind : {"integer", "float"}
        Which weights.
    class_names : sequence of str
        What the labels are called, such as ``dataset.classes``: numbered as the network
        does before they are compared, and refused where they are others. Left out, labels
        are the network's own numbers.

    Returns
    -------
    float
        Of the class with the largest score, the first of equal ones.

    Raises
    ------
    DataError
        For what are no such samples and labels, for none, and for other class names.
    """
    x, y = as_samples(x), as_labels(y)
    if not len(x):
        raise DataError("an accuracy needs at least one sample, got none")
    if not (math.isfinite(x.min()) and math.isfinite(x.max())):
        raise DataError("samples must be finite, got NaN or infinity")
    if y.shape != (len(x),):
        raise DataError(f"{len(x)} images need as many labels, got {y.shape}")
    number = match_classes(names_of(model), class_names)
    if number is not None:
        check_labels(len(x), y, len(number))
        y = number[y]
    elif len(class_names):
        warn_unnamed("the network")
    device = next(model.parameters()).device
    right = 0
    with torch.no_grad(), evaluating(model), precision(model, kind):
        for start in range(0, len(x), BATCH):
            labels = y[start : start + BATCH]
            scores = model(torch.tensor(x[start : start + BATCH], device=device))
            check_labels(len(labels), labels, scores.shape[1])
            right += int((scores.argmax(1).cpu().numpy() == labels).sum())
    return right / len(x)
