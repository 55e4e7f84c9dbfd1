"""Datasets under their former address; they live in :mod:`lava_mlsnn.data`."""

from __future__ import annotations

from lava_mlsnn.data.dataset import Dataset, check_fits
from lava_mlsnn.data.load import load_dataset

__all__ = ["Dataset", "check_fits", "load_dataset"]
