"""Training models drawn by a seed: any wiring of any blocks, up to twelve of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from lava_mlsnn.slayer import block
from trust.networks import Seeded

__all__ = ["DrawnModel", "calibrated", "samples"]

MOST = 8  # steps before the classifier, of which a residual is up to four populations
STEPS = ("conv", "conv", "same", "down", "up", "fire", "sum", "max", "residual", "residual", "add",
         "add", "again")  # fmt: skip


def calibrated(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """BatchNorm statistics as after a training, without one."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            assert module.num_batches_tracked is not None
            module.running_mean.uniform_(-0.5, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 9.0, generator=generator)
            module.num_batches_tracked.fill_(1)
    return model.eval()


class DrawnModel(torch.nn.Module):
    """Values 0.. (0: the input's payload); each step appends one."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.choose = choose = Seeded(seed)
        self.timesteps = choose.of((1, 1, 2, 4))
        shape = (choose.whole(1, 3), choose.whole(3, 7), choose.whole(3, 7))
        levels = choose.of((1, 4, 15, 127))
        self.input = block.Input(shape, levels, float(levels), choose.of((False, True)))
        self.values: list[tuple[tuple[int, ...], int]] = [(shape, levels)]
        self.blocks = torch.nn.ModuleList()
        self.steps: list[tuple[str, int, int]] = []
        for _ in range(choose.whole(1, MOST)):
            self._step(choose.of(STEPS))
        last, payload = self.values[-1]
        self.flatten = block.Flatten(last, payload)
        size = math.prod(last)
        hidden = choose.whole(2, 6)
        self.dense = block.Dense(self._params(), size, hidden) if choose.of((False, True)) else None
        self.output = block.Output(size if self.dense is None else hidden, choose.whole(1, 4))
        calibrated(self, seed)

    def _params(self) -> dict[str, Any]:
        choose = self.choose
        return {
            "levels": choose.of((1, 2, 4, 8, 15)),
            "v0": choose.of(("floor", "round")),
            "threshold": choose.of((0.5, 1.0, 1.7)),
            "train_threshold": choose.of((False, True)),
        }

    def _step(self, kind: str) -> None:
        source = self.choose.whole(max(0, len(self.values) - 3), len(self.values) - 1)
        shape, payload = self.values[source]
        if kind in ("add", "again"):
            self._join(kind, source, shape, payload)
        elif kind == "max" and (self.timesteps > 1 or self.input.signed):
            return  # exact at one timestep, of payloads that are not negative
        elif min(shape[1:]) >= 2 or kind in ("same", "up"):
            made = self._block(kind, shape, payload)
            self.blocks.append(made)
            self.steps.append(("block", len(self.blocks) - 1, source))
            self.values.append((made.shape, made.payload_max))

    def _join(self, kind: str, source: int, shape: tuple[int, ...], payload: int) -> None:
        """A sum of two values, or a block that is used a second time."""
        if kind == "add":
            for other, (found, most) in enumerate(self.values):
                if found == shape and payload + most < 1 << 15:
                    self.steps.append(("add", other, source))
                    self.values.append((shape, payload + most))
                    return
            return
        for op, number, used in self.steps:
            plain = op == "block" and isinstance(self.blocks[number], block.Conv | block.ConvT)
            if plain and self.values[used][0] == shape:
                again: Any = self.blocks[number]
                self.steps.append(("block", number, source))
                self.values.append((again.shape, again.payload_max))
                return

    def _block(self, kind: str, shape: tuple[int, ...], payload: int) -> Any:
        choose, params, size = self.choose, self._params(), (shape[1], shape[2])
        channels, out = shape[0], choose.whole(1, 5)
        norm = choose.of((True, True, False))
        match kind:
            case "conv":
                kernel = choose.whole(1, min(3, size[0])), choose.whole(1, min(3, size[1]))
                padding = (choose.whole(0, kernel[0] - 1), choose.whole(0, kernel[1] - 1))
                return block.Conv(
                    params, channels, out, kernel, 1, padding, input_size=size, norm=norm
                )
            case "same":
                return block.Conv(
                    params, channels, channels, 3, 1, 1, 1, channels, input_size=size, norm=norm
                )
            case "down":
                return block.Conv(params, channels, out, 3, 2, 1, input_size=size, norm=norm)
            case "up":
                return block.ConvT(params, channels, out, 2, input_size=size, norm=norm)
            case "max":
                return block.MaxPool(shape, 2, payload_max=payload)
            case "fire" | "sum":
                neuron = params if kind == "fire" else None
                return block.Pool(neuron, shape, 2, payload_max=payload)
            case _:
                return block.Residual(
                    params, shape, choose.of((channels, out)), choose.of((1, 2)),
                    barrier=choose.of([b for b in block.BARRIERS if b != "ms"]),
                    shortcut_neuron=choose.of((False, True)), payload_max=payload,
                )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of the last timestep."""
        if x.dim() == 4:
            x = x.unsqueeze(-1).expand(*x.shape, self.timesteps)
        values = [self.input(x)]
        for op, number, source in self.steps:
            if op == "add":
                values.append(values[number] + values[source])
            else:
                values.append(self.blocks[number](values[source]))
        x = self.flatten(values[-1])
        if self.dense is not None:
            x = self.dense(x)
        scores: torch.Tensor = self.output(x)[..., -1]
        return scores


def samples(model: DrawnModel, count: int, seed: int) -> np.ndarray:
    """Data that uses the whole range of the input."""
    low = -1.0 if model.input.signed else 0.0
    drawn = np.random.default_rng(seed).uniform(low, 1, (count, *model.input.shape))
    return drawn.astype(np.float32)
