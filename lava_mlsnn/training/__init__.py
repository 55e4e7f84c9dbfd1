"""Training loop, recipes and checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netx_export.lazy import lazy

if TYPE_CHECKING:
    from lava_mlsnn.training.ann_start import as_relu as as_relu
    from lava_mlsnn.training.ann_start import convert as convert
    from lava_mlsnn.training.checkpoint import load_model as load_model
    from lava_mlsnn.training.config import TrainConfig as TrainConfig
    from lava_mlsnn.training.ema import WeightAverage as WeightAverage
    from lava_mlsnn.training.evaluate import accuracy as accuracy
    from lava_mlsnn.training.loop import train as train
    from lava_mlsnn.training.penalty import EventPenalty as EventPenalty
    from lava_mlsnn.training.recipes import RECIPES as RECIPES
    from lava_mlsnn.training.recipes import recipe as recipe
    from lava_mlsnn.training.statistics import recalibrate as recalibrate

_HOMES = {
    "EventPenalty": ".penalty",
    "RECIPES": ".recipes",
    "TrainConfig": ".config",
    "WeightAverage": ".ema",
    "accuracy": ".evaluate",
    "as_relu": ".ann_start",
    "convert": ".ann_start",
    "load_model": ".checkpoint",
    "recalibrate": ".statistics",
    "recipe": ".recipes",
    "train": ".loop",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(__name__, _HOMES)
