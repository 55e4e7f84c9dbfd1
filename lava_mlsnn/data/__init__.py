"""Datasets as arrays: images, and frames of events."""

from lava_mlsnn.data.binning import bin_events
from lava_mlsnn.data.class_names import match_classes
from lava_mlsnn.data.dataset import Dataset, check_fits
from lava_mlsnn.data.load import load_dataset
from lava_mlsnn.data.saccades import SaccadeCamera
from lava_mlsnn.data.samples import draw_samples

__all__ = [
    "Dataset",
    "SaccadeCamera",
    "bin_events",
    "check_fits",
    "draw_samples",
    "load_dataset",
    "match_classes",
]
