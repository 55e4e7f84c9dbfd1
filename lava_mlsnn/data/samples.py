"""Some samples of many: all classes, drawn by a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from lava_mlsnn.checks import check_whole
from lava_mlsnn.data.dataset import as_labels
from lava_mlsnn.errors import DataError

__all__ = ["draw_samples"]


def draw_samples(labels: Any, count: int = 0, seed: int = 0) -> np.ndarray:
    """Places of ``count`` samples in a drawn order.

    The first ones are one of every class, the next in proportion to the classes' sizes:
    ``count`` samples are the first of ``count + 1``, and where there are as many as
    classes none is left out. Data without labels is of one class.

    Parameters
    ----------
    labels : array of int, (N,)
        Classes of all samples.
    count : int
        How many; 0, or more than there are: all.
    seed : int
        Of the order within a class, and of the classes.

    Returns
    -------
    ndarray of int64, (min(count, N),)
    """
    labels = as_labels(labels)
    if labels.ndim != 1:
        raise DataError(f"labels must be one row of numbers, got shape {labels.shape}")
    count = check_whole("samples", count, 0, 2**62)
    order = np.random.default_rng(seed).permutation(len(labels))
    _, of, sizes = np.unique(labels[order], return_inverse=True, return_counts=True)
    by_class = np.argsort(of, kind="stable")
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(order), np.int64)  # of a sample among those of its class
    rank[by_class] = np.arange(len(order)) - np.repeat(starts, sizes)
    share = (rank + 0.5) / sizes[of]
    share[rank == 0] = 0  # one of every class before the second of any
    return order[np.argsort(share, kind="stable")][: count or len(order)]
