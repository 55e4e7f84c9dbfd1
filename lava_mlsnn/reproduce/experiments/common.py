"""What experiments share: recipes, starts, and the comparison with SEW-ADD.

All digits trainings take one CPU thread and seconds to minutes; those on CIFAR-10 take
minutes to half an hour each and are as long as two cores allowed, far from converged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lava_mlsnn.reproduce.judge import fewer, within
from lava_mlsnn.reproduce.trial import Claim, Group, Results, Trial
from lava_mlsnn.training.config import TrainConfig
from lava_mlsnn.training.recipes import RECIPES

__all__ = [
    "BARRIERS",
    "DEEP",
    "DIGITS",
    "ENTERING",
    "IN_TIME",
    "LOUD",
    "SEEDS",
    "START",
    "SYNAPTIC",
    "against_sew",
    "group",
]

SEEDS = 5
BARRIERS = {
    "integrating": "integrating barrier (Sparse-ResNet)",
    "respiking": "re-spiking barrier",
    "sew": "SEW-ADD",
    "ms": "MS-ResNet",
    "none": "no shortcut",
}
DIGITS = RECIPES["digits"]
DEEP = DIGITS  # with half of its epochs, networks with V0 = 0 lose two points
IN_TIME = replace(DIGITS, epochs=30)  # T = 4 costs four times as much
# the rules of lava_mlsnn.models.start, spelled out: records outlive defaults. A trial without
# these options has the former start (V0 = 0, gain 1, bias 0)
START: dict[str, Any] = {"v0": "auto", "branch_gain": None, "start_bias": -0.25}
LOUD: dict[str, Any] = {**START, "start_bias": 0.0}  # without shortcuts
SYNAPTIC = "activity.operations.events"
ENTERING = "activity.into_synapses.events"


def group(
    name: str,
    label: str,
    recipe: TrainConfig,
    data: str = "digits",
    seeds: int = SEEDS,
    **model: Any,
) -> Group:
    """Name a row; its seeds count from 0."""
    return Group(name, label, Trial(data, model, recipe), seeds)


def against_sew(r: Results, ours: str = "integrating", where: str = "") -> list[Claim]:
    """Within half a point in accuracy, and a fifth less of everything that is counted."""
    return [
        within(r, ours, "sew", 0.5, f"accuracy within 0.5 points of SEW-ADD{where}"),
        fewer(r, ours, "sew", ENTERING, 0.8, f"20 % fewer events enter a synapse{where}"),
        fewer(r, ours, "sew", SYNAPTIC, 0.8, f"20 % fewer synaptic operations{where}"),
        fewer(r, ours, "sew", "activity.block_outputs.events", 0.8,
              f"20 % fewer events at block outputs{where}"),
        fewer(r, ours, "sew", "activity.all.events", 0.8, f"20 % fewer events in all{where}"),
        fewer(r, ours, "sew", "activity.into_synapses.payload", 0.8,
              f"20 % less payload enters a synapse{where}"),
    ]  # fmt: skip
