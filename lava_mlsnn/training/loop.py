"""Training: one plain loop, resumable, with a one-cycle schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.errors import ConfigError, DataError, RangeError
from lava_mlsnn.models import ModelConfig, MultiLevelNetwork, build_model
from lava_mlsnn.slayer import precision
from lava_mlsnn.training.checkpoint import load_checkpoint, save_checkpoint
from lava_mlsnn.training.data import Dataset, check_fits
from lava_mlsnn.training.statistics import recalibrate

__all__ = ["EpochReport", "TrainConfig", "accuracy", "train"]

CALIBRATION_BATCHES = 200  # averages of more no longer move
SHORT = 100  # batches after which a running average has forgotten its start


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes
    ----------
    epochs, batch_size : int
        Length and batch.
    lr : float
        Peak learning rate of the one-cycle schedule (AdamW).
    weight_decay : float
        Decoupled decay.
    label_smoothing : float
        0..1.
    shift : int
        Random shift of training images by up to this many pixels.
    flip : bool
        Random horizontal mirror of training images.
    seed : int
        Initial weights, order of samples, augmentation.
    recalibrate : bool or None
        Measure BatchNorm statistics over the training images after the last epoch, as
        :func:`lava_mlsnn.training.recalibrate`. None: after fewer than 100 batches, when
        the running statistics still hold some of their start. A longer training has
        adapted its rounded weights to the running statistics (digits, 10 seeds, 60
        epochs: 0.15 points better with them).
    amp : bool
        Convolutions and dense layers in bfloat16 (autocast); neurons, BatchNorm,
        rounding to the grid and evaluation stay as they are. For GPUs.
    """

    epochs: int = 40
    batch_size: int = 64
    lr: float = 5e-3
    weight_decay: float = 1e-4
    label_smoothing: float = 0.05
    shift: int = 0
    flip: bool = False
    seed: int = 0
    recalibrate: bool | None = None
    amp: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise ConfigError(
                f"training needs at least 1 epoch and batches of 2, got {self.epochs} and "
                f"{self.batch_size}"
            )
        if not self.lr > 0:
            raise ConfigError(f"lr must be positive, got {self.lr}")


@dataclass(frozen=True)
class EpochReport:
    """What one epoch did."""

    epoch: int  # 1-based
    epochs: int
    loss: float
    accuracy: float  # on the training batches, 0..1


def accuracy(
    model: MultiLevelNetwork, x: np.ndarray, y: np.ndarray, kind: str = "integer"
) -> float:
    """Fraction of correct classes in ``"integer"`` or ``"float"`` precision, 0..1."""
    device = next(model.parameters()).device
    model.eval()
    right = 0
    with torch.no_grad(), precision(model, kind):
        for start in range(0, len(x), 256):
            scores = model(torch.from_numpy(x[start : start + 256]).to(device))
            right += int((scores.argmax(1).cpu().numpy() == y[start : start + 256]).sum())
    return right / max(1, len(x))


def one_cycle(done: float) -> float:
    """Learning rate factor after a fraction ``done`` of training: up, then down, by cosines."""
    rise, start = 0.15, 0.04
    if done < rise:
        return start + (1 - start) * 0.5 * (1 - math.cos(math.pi * done / rise))
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - rise) / (1 - rise))))


def _augment(x: torch.Tensor, config: TrainConfig, generator: torch.Generator) -> torch.Tensor:
    n, _, height, width = x.shape
    if config.shift:
        s = config.shift
        padded = F.pad(x, (s, s, s, s))
        offsets = torch.randint(0, 2 * s + 1, (n, 2), generator=generator)
        # every window of the size of an image, as a view; one is copied per image
        windows = padded.unfold(2, height, 1).unfold(3, width, 1).movedim(1, 3)
        x = windows[torch.arange(n), offsets[:, 0], offsets[:, 1]]
    if config.flip:
        mirror = torch.rand(n, generator=generator) < 0.5
        x = torch.where(mirror[:, None, None, None], x.flip(-1), x)
    return x


def _calibration(x_all: torch.Tensor, config: TrainConfig, device: str) -> Iterator[torch.Tensor]:
    """Training images as they are, in whole batches of one fixed order."""
    order = torch.randperm(len(x_all), generator=torch.Generator().manual_seed(config.seed))
    size = config.batch_size
    for index in range(max(1, min(CALIBRATION_BATCHES, len(x_all) // size))):
        yield x_all[order[index * size : (index + 1) * size]].to(device)


def train(
    model_config: ModelConfig,
    dataset: Dataset,
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Callable[[EpochReport], None] | None = None,
    device: str = "cpu",
    threads: int = 0,
) -> MultiLevelNetwork:
    """Train a network on a dataset.

    Parameters
    ----------
    model_config : ModelConfig
        Structure.
    dataset : Dataset
        Training part is used; the test part is not looked at.
    config : TrainConfig
        Recipe.
    checkpoint : Path, optional
        Written after every epoch; a stopped training goes on from it.
    resume : bool
        Continue ``checkpoint`` if it exists (same configurations required). The
        result equals that of an uninterrupted run.
    report : callable, optional
        Called after every epoch.
    device : str
        ``"cpu"`` or ``"cuda"``.
    threads : int
        CPU threads of torch while training (0: as torch is set). Small networks are
        faster with 1, by far where the cores are shared.

    Returns
    -------
    MultiLevelNetwork
        In eval mode.

    Raises
    ------
    ConfigError, DataError
        If network, data and recipe do not fit together.
    RangeError
        If the loss leaves the floating range.
    """
    check_fits(dataset, model_config.input_shape, model_config.classes)
    if len(dataset.x_train) < 2:  # one sample has no batch statistics
        raise DataError(f"training needs at least 2 images, {dataset.name} has 1")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return _train(
            model_config,
            dataset,
            config,
            checkpoint if resume else None,
            checkpoint,
            report,
            device,
        )
    finally:
        torch.set_num_threads(before)


def _train(
    model_config: ModelConfig,
    dataset: Dataset,
    config: TrainConfig,
    resume: Path | None,
    checkpoint: Path | None,
    report: Callable[[EpochReport], None] | None,
    device: str,
) -> MultiLevelNetwork:
    torch.manual_seed(config.seed)
    model = build_model(model_config).to(device)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    x_all, y_all = torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train)
    # a last batch of one sample has no batch statistics
    batches = max(1, len(x_all) // config.batch_size)
    # torch's OneCycleLR keeps a function in its state, which a safe checkpoint cannot hold
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: one_cycle(step / (config.epochs * batches))
    )
    generator = torch.Generator().manual_seed(config.seed)
    start = 0
    if resume is not None and resume.exists():
        start = _restore(resume, model, optimiser, schedule, generator, config, dataset.name)
    for epoch in range(start, config.epochs):
        model.train()
        # summed where they are made: reading a number every step would wait for a GPU
        total = torch.zeros((), dtype=torch.float64, device=device)
        right = torch.zeros((), dtype=torch.int64, device=device)
        order = torch.randperm(len(x_all), generator=generator)
        for index in range(batches):
            chosen = order[index * config.batch_size : (index + 1) * config.batch_size]
            x = _augment(x_all[chosen], config, generator).to(device)
            y = y_all[chosen].to(device)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=config.amp):
                scores = model(x)
            loss = F.cross_entropy(scores.float(), y, label_smoothing=config.label_smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.detach()
            right += (scores.argmax(1) == y).sum()
        mean, seen = float(total) / batches, batches * min(config.batch_size, len(x_all))
        if not math.isfinite(mean):
            raise RangeError(
                f"the loss must stay finite, got {mean} in epoch {epoch + 1}; lower lr"
            )
        short = config.recalibrate is None and config.epochs * batches < SHORT
        if (config.recalibrate or short) and epoch + 1 == config.epochs:
            recalibrate(model, _calibration(x_all, config, device))
        if checkpoint is not None:
            state: dict[str, Any] = {
                "epoch": epoch + 1,
                "train_config": asdict(config),
                "dataset": dataset.name,
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "generator": generator.get_state(),
            }
            save_checkpoint(checkpoint, model, state)
        if report is not None:
            report(EpochReport(epoch + 1, config.epochs, mean, int(right) / seen))
    return model.eval()


def _restore(
    path: Path,
    model: MultiLevelNetwork,
    optimiser: torch.optim.Optimizer,
    schedule: Any,
    generator: torch.Generator,
    config: TrainConfig,
    dataset: str,
) -> int:
    content = load_checkpoint(path)
    if ModelConfig.from_dict(content["config"]) != model.config:
        raise ConfigError(
            f"{path} holds another network; resume with its options, or train into another folder"
        )
    stored = content.get("train_config")
    # options that the checkpoint is older than had their default
    if not isinstance(stored, dict) or {**asdict(TrainConfig()), **stored} != asdict(config):
        raise ConfigError(
            f"{path} was trained with other options; resume with the same, or train into "
            "another folder"
        )
    if content.get("dataset") != dataset:
        raise ConfigError(
            f"{path} was trained on {content.get('dataset')!r}, not {dataset!r}; resume with "
            "the same data, or train into another folder"
        )
    model.load_state_dict(content["model"])
    optimiser.load_state_dict(content["optimiser"])
    schedule.load_state_dict(content["schedule"])
    generator.set_state(content["generator"])
    return int(content["epoch"])
