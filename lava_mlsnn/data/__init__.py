"""Datasets as arrays: images, and frames of events; names are loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lava_mlsnn.data.binning import bin_events as bin_events
    from lava_mlsnn.data.classes import match_classes as match_classes
    from lava_mlsnn.data.dataset import Dataset as Dataset
    from lava_mlsnn.data.dataset import check_fits as check_fits
    from lava_mlsnn.data.load import load_dataset as load_dataset
    from lava_mlsnn.data.saccades import SaccadeCamera as SaccadeCamera
    from lava_mlsnn.data.samples import draw_samples as draw_samples

_HOME = {
    "Dataset": "dataset",
    "SaccadeCamera": "saccades",
    "bin_events": "binning",
    "check_fits": "dataset",
    "draw_samples": "samples",
    "load_dataset": "load",
    "match_classes": "classes",
}

__all__ = [
    "Dataset",
    "SaccadeCamera",
    "bin_events",
    "check_fits",
    "draw_samples",
    "load_dataset",
    "match_classes",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
