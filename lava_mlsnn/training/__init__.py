"""Data, training loop and checkpoints; names are loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lava_mlsnn.training.checkpoint import load_model as load_model
    from lava_mlsnn.training.data import Dataset as Dataset
    from lava_mlsnn.training.data import load_dataset as load_dataset
    from lava_mlsnn.training.loop import TrainConfig as TrainConfig
    from lava_mlsnn.training.loop import accuracy as accuracy
    from lava_mlsnn.training.loop import train as train
    from lava_mlsnn.training.statistics import recalibrate as recalibrate

_HOME = {
    "Dataset": "data",
    "TrainConfig": "loop",
    "accuracy": "loop",
    "load_dataset": "data",
    "load_model": "checkpoint",
    "recalibrate": "statistics",
    "train": "loop",
}

__all__ = [
    "Dataset",
    "TrainConfig",
    "accuracy",
    "load_dataset",
    "load_model",
    "recalibrate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
