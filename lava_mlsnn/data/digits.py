"""scikit-learn's handwritten digits, with a split that never moves."""

from __future__ import annotations

import numpy as np

from lava_mlsnn.data.dataset import Dataset

__all__ = ["load_digits"]

TEST_SIZE = 450  # a quarter of the digits
SPLIT_SEED = 0


def load_digits() -> Dataset:
    """1,797 images of 8x8 pixels with 17 grey levels, 450 held out by a fixed seed."""
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split

    bunch = load()
    images = (bunch.images / 16.0).astype(np.float32)[:, None]
    labels = bunch.target.astype(np.int64)
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels, test_size=TEST_SIZE, random_state=SPLIT_SEED, stratify=labels
    )
    names = tuple(str(n) for n in range(10))
    return Dataset("digits", x_train, y_train, x_test, y_test, names, input_levels=16)
