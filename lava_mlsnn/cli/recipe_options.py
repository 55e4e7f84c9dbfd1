"""Options of ``mlsnn train`` that change its recipe; without one the recipe's value holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lava_mlsnn.choices import OPTIMISERS, SCHEDULES
from lava_mlsnn.training.recipes import RECIPES

__all__ = [
    "Amp",
    "AnnEpochs",
    "BatchSize",
    "Distil",
    "Ema",
    "Epochs",
    "EventPenalty",
    "Flip",
    "LabelSmoothing",
    "LearningRate",
    "Mixup",
    "Optimiser",
    "Recipe",
    "Schedule",
    "Seed",
    "Shift",
    "Teacher",
    "Temperature",
    "Warmup",
    "WeightDecay",
]

Recipe = Annotated[
    str, typer.Option("--recipe", help=f"Where the other values come from: {', '.join(RECIPES)}.")
]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Passes over the training data.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", help="Samples per step.")]
LearningRate = Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")]
Optimiser = Annotated[str | None, typer.Option("--optimiser", help=f"{' or '.join(OPTIMISERS)}.")]
Schedule = Annotated[str | None, typer.Option("--schedule", help=f"{', '.join(SCHEDULES)}.")]
Warmup = Annotated[
    float | None, typer.Option("--warmup", help="Epochs of linear rise (cosine, step).")
]
WeightDecay = Annotated[float | None, typer.Option("--weight-decay", help="Decay of weights.")]
LabelSmoothing = Annotated[float | None, typer.Option("--label-smoothing", help="0..1.")]
Shift = Annotated[int | None, typer.Option("--shift", help="Random shift in pixels.")]
Flip = Annotated[bool | None, typer.Option("--flip/--no-flip", help="Random mirror images.")]
Mixup = Annotated[
    float | None, typer.Option("--mixup", help="Mix pairs; Beta parameter, such as 0.2.")
]
Ema = Annotated[
    float | None, typer.Option("--ema", help="Average the weights; decay, such as 0.999.")
]
EventPenalty = Annotated[
    float | None, typer.Option("--event-penalty", help="Weight of synaptic events in the loss.")
]
AnnEpochs = Annotated[
    int | None, typer.Option("--ann-epochs", help="Epochs as ReLUs before spikes.")
]
Teacher = Annotated[
    Path | None, typer.Option("--teacher", help="model.pt of a network to learn from.")
]
Distil = Annotated[
    float | None, typer.Option("--distil", help="Weight of the teacher, 0..1 (0.5 with one).")
]
Temperature = Annotated[
    float | None, typer.Option("--temperature", help="Of the teacher's targets.")
]
Amp = Annotated[bool | None, typer.Option("--amp/--no-amp", help="bfloat16, for GPUs.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Weights, order and augmentation.")]
