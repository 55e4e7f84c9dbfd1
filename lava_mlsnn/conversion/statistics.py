"""What the float network does on calibration data: means, and a sample of activations."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lava_mlsnn.conversion.plan import Neurons, Plan, Scores
from lava_mlsnn.conversion.record import Watch
from lava_mlsnn.errors import DataError
from lava_mlsnn.population.hooks import evaluating

__all__ = ["BATCH", "CORRECTED_BY", "Seen", "gathered", "look"]

BATCH = 64
CORRECTED_BY = 256  # the first samples: biases are corrected by the means of them alone
SAMPLE = 4096  # activations of a channel that are kept


@dataclass
class Seen:
    """Of one sum.

    Attributes
    ----------
    mean : Tensor, (C,), float64
        Over the first ``CORRECTED_BY`` samples, and places.
    values : Tensor, (C, M)
        Some of them.
    """

    mean: torch.Tensor
    values: torch.Tensor


def gathered(calibration: Any) -> torch.Tensor:
    """Samples of a calibration set as one float32 tensor.

    Parameters
    ----------
    calibration : Tensor, ndarray or iterable of them
        Batches; of pairs such as a DataLoader's (samples, labels) the first.

    Raises
    ------
    DataError
        For what holds no two samples of finite numbers.
    """
    if isinstance(calibration, (torch.Tensor, np.ndarray)):
        calibration = [calibration]
    if not isinstance(calibration, Iterable):
        raise DataError(
            f"calibration must be samples or batches of them, got {type(calibration).__name__}"
        )
    batches = []
    for batch in calibration:
        part = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
        if not isinstance(part, (torch.Tensor, np.ndarray)):
            raise DataError(
                f"calibration batches must be tensors or arrays, got {type(part).__name__}"
            )
        batches.append(torch.as_tensor(part).detach().cpu().float())
    shapes = {tuple(b.shape[1:]) for b in batches}
    if sum(len(b) for b in batches if b.dim()) < 2 or len(shapes) != 1:
        raise DataError(
            "calibration must hold at least two samples of one shape, got "
            f"{sum(len(b) for b in batches if b.dim())} of shapes {sorted(shapes)}"
        )
    x = torch.cat(batches)
    if not bool(torch.isfinite(x).all()):
        raise DataError("calibration samples must be finite numbers")
    return x


def look(plan: Plan, x: torch.Tensor) -> dict[str, Seen]:
    """What every population's and readout's sum is in the float network, by step."""
    totals: dict[str, tuple[torch.Tensor, int]] = {}
    values: dict[str, list[torch.Tensor]] = {}
    each = math.ceil(SAMPLE / math.ceil(len(x) / BATCH))
    dice = torch.Generator().manual_seed(0)

    def note(name: str, result: torch.Tensor) -> None:
        rows = result.movedim(1, 0).flatten(1)
        count = rows.shape[1]
        some = torch.randint(count, (each,), generator=dice) if count > each else slice(None)
        values.setdefault(name, []).append(rows[:, some].float().clone())
        if start < CORRECTED_BY:
            total, seen = totals.get(name, (0.0, 0))
            totals[name] = total + rows.double().sum(1), seen + count

    run = Watch(plan.graph)
    for step in plan.steps:
        if isinstance(step, (Neurons, Scores)):
            run.watch(step.sum.place, functools.partial(note, step.name))
    with evaluating(plan.graph), torch.no_grad():
        for start in range(0, len(x), BATCH):
            run.run(x[start : start + BATCH])
    return {
        name: Seen(total / count, torch.cat(values[name], 1))
        for name, (total, count) in totals.items()
    }
