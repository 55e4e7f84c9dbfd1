"""What the float network does on calibration data: means, and a sample of activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lava_mlsnn.conversion.plan import Neurons, Plan, Scores
from lava_mlsnn.conversion.record import Watch
from lava_mlsnn.conversion.share import Share
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


def look(plan: Plan, x: torch.Tensor, share: Share) -> dict[str, Seen]:
    """What every population's and readout's sum is in the float network, by step."""
    places: dict[str, int] = {}  # a channel's values in a sample
    _watch(plan, x[:2], lambda name, rows: places.update({name: rows.shape[1] // 2}))
    parts = x.split(BATCH)
    each = math.ceil(SAMPLE / len(parts))
    dice = torch.Generator().manual_seed(0)
    chosen = [
        {name: _some(count * len(part), each, dice) for name, count in places.items()}
        for part in parts
    ]
    found = []
    for k in share.mine(len(parts)):
        batch = _Batch(chosen[k], k * BATCH < CORRECTED_BY)
        _watch(plan, parts[k], batch.note)
        found.append((batch.values, batch.totals))
    whole = share.whole(found)
    return {
        name: Seen(
            mean([totals[name] for _, totals in whole if totals]),
            torch.cat([values[name] for values, _ in whole], 1),
        )
        for name in places
    }


def mean(totals: list[tuple[torch.Tensor, int]]) -> torch.Tensor:
    """Of sums and counts, added in their order."""
    whole = torch.zeros_like(totals[0][0])
    for total, _ in totals:
        whole += total
    return whole / sum(count for _, count in totals)


class _Batch:
    """What is kept of a batch: the chosen values, and sums if they are ``counted``."""

    def __init__(self, chosen: dict[str, torch.Tensor | slice], counted: bool) -> None:
        self.chosen, self.counted = chosen, counted
        self.values: dict[str, torch.Tensor] = {}
        self.totals: dict[str, tuple[torch.Tensor, int]] = {}

    def note(self, name: str, rows: torch.Tensor) -> None:
        """Look at the values (C, M) of a sum."""
        self.values[name] = rows[:, self.chosen[name]].float().clone()
        if self.counted:
            self.totals[name] = rows.double().sum(1), rows.shape[1]


def _watch(plan: Plan, x: torch.Tensor, note: Callable[[str, torch.Tensor], None]) -> None:
    """Run the float network, and note (C, M) of every sum when it is computed."""
    run = Watch(plan.graph)
    for step in plan.steps:
        if isinstance(step, (Neurons, Scores)):

            def show(result: torch.Tensor, name: str = step.name) -> None:
                note(name, result.movedim(1, 0).flatten(1))

            run.watch(step.sum.place, show)
    with evaluating(plan.graph), torch.no_grad():
        run.run(x)


def _some(count: int, each: int, dice: torch.Generator) -> torch.Tensor | slice:
    """Which of a channel's values of a batch are kept."""
    return torch.randint(count, (each,), generator=dice) if count > each else slice(None)
