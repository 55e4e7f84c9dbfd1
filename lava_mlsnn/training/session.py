"""One training: network, optimiser, schedule, averages; its epochs, and its state in a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.checks import check_whole, shown
from lava_mlsnn.data import Dataset, check_fits
from lava_mlsnn.data.class_names import names_of, warn_unnamed
from lava_mlsnn.errors import ConfigError, DataError, RangeError, said
from lava_mlsnn.models import ModelConfig, MultiLevelNetwork, build_model
from lava_mlsnn.training.ann_start import as_relu, convert, first_frame
from lava_mlsnn.training.augment import augment, mirrored, mixup
from lava_mlsnn.training.checkpoint import (
    load_checkpoint,
    load_weights,
    stored_names,
    trusted,
)
from lava_mlsnn.training.config import LayerReport, TrainConfig
from lava_mlsnn.training.distil import (
    Teacher,
    check_teacher,
    fingerprint,
    soft_loss,
    teacher_columns,
)
from lava_mlsnn.training.ema import WeightAverage
from lava_mlsnn.training.evaluate import accuracy
from lava_mlsnn.training.measure import COUNTED, Meter
from lava_mlsnn.training.penalty import EventPenalty
from lava_mlsnn.training.processes import Processes, common_statistics
from lava_mlsnn.training.schedule import (
    load_moments,
    make_optimiser,
    make_schedule,
    resume_schedule,
)
from lava_mlsnn.training.statistics import recalibrate

__all__ = ["Training"]

CALIBRATION_BATCHES = 200  # averages of more no longer move
SUSPECTS = ("weight_decay", "event_penalty", "temperature")  # where lr is not to blame
SHORT = 100  # batches after which a running average has forgotten its start


class Training:
    """What a training holds between epochs; the arguments are those of :func:`train`."""

    def __init__(
        self,
        model_config: ModelConfig,
        dataset: Dataset,
        config: TrainConfig,
        teacher: Teacher | None,
        device: str,
        start: MultiLevelNetwork | None = None,
    ) -> None:
        check_fits(dataset, model_config.input_shape, model_config.classes, model_config.timesteps)
        if len(dataset.x_train) < 2:  # one sample has no batch statistics
            raise DataError(f"training needs at least 2 images, {dataset.name} has 1")
        teacher = check_teacher(teacher, config, device)
        if start is not None:
            if config.ann_epochs:
                raise ConfigError(
                    "ann_epochs starts from ReLUs; leave it out, or the network to start from"
                )
            if not names_of(start):
                warn_unnamed("the network to start from")
            dataset = dataset.counted_as(names_of(start), "the network to start from")
        if config.shift >= min(dataset.shape[1:]):
            raise ConfigError(
                f"shift must be smaller than the images of {dataset.name}, {dataset.shape[1]} x "
                f"{dataset.shape[2]} pixels, got {config.shift}"
            )
        torch.manual_seed(config.seed)
        self.config, self.dataset, self.device = config, dataset.name, device
        self.classes = dataset.classes
        self.model = build_model(model_config).to(device)
        self.model.class_names = dataset.classes
        self.start = fingerprint(start)
        if start is not None:
            _copy_weights(start, self.model)
        # a GPU holds the data itself; the order and all else random come from the CPU
        self.x, self.y = (
            torch.from_numpy(np.require(a, requirements="W")).to(device)
            for a in (dataset.x_train, dataset.y_train)
        )
        self.processes = Processes()
        self.processes.check(min(config.batch_size, len(self.x)))
        # a last batch of one sample has no batch statistics
        self.batches = max(1, len(self.x) // config.batch_size)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.average = WeightAverage(self.model, config.ema) if config.ema else None
        self.penalty = EventPenalty(self.model) if config.event_penalty else None
        self.teacher, self.columns = teacher, teacher_columns(teacher, dataset.classes)
        self.held = dataset.x_test, dataset.y_test
        self.some = dataset.x_train[:COUNTED], dataset.y_train[:COUNTED]
        self._meter: Meter | None = None
        self._start_phase(config.ann_epochs or config.epochs)

    @property
    def result(self) -> MultiLevelNetwork:
        """What is evaluated and exported."""
        return self.model if self.average is None else self.average.mean

    def close(self) -> None:
        """Leave a network without hooks."""
        if self.penalty is not None:
            self.penalty.remove()

    @property
    def lr(self) -> float:
        """Of the next step, in units of weights."""
        return float(self.schedule.get_last_lr()[0])

    def measure(self, validate: bool, log: bool) -> tuple[float | None, dict[str, LayerReport]]:
        """Validation accuracy if it is wanted, and what the layers send."""
        if not (validate or log):
            return None, {}
        if self._meter is None:
            self._meter = Meter(self.result, *(self.held if validate else self.some))
        return self._meter.all() if validate else (None, self._meter.layers()[1])

    def relu_accuracy(self) -> float:
        """Validation accuracy while ReLUs train, in floats and at one timestep."""
        x, y = self.held
        shown = first_frame(torch.as_tensor(x), len(self.model.config.input_shape))
        with as_relu(self.result):
            return accuracy(self.result, shown.numpy(), y, "float")

    def _start_phase(self, epochs: int) -> None:
        self.parallel = self.processes.parallel(self.model, unused=self._unused())
        self.optimiser = make_optimiser(self.model, self.config)
        self.schedule = make_schedule(self.optimiser, self.config, self.batches, epochs)

    def _unused(self) -> bool:
        """Whether parameters may get no gradient: thresholds, where ReLUs take their place."""
        return self.config.ann_epochs > 0 and self.model.config.train_threshold

    def epoch(self, epoch: int) -> tuple[float, float]:
        """One pass over the data; mean loss and training accuracy."""
        config = self.config
        ann = epoch < config.ann_epochs
        self.model.train()
        # summed where they are made: reading a number every step would wait for a GPU
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        order = torch.randperm(len(self.x), generator=self.generator)
        turned = None
        if config.alternate:
            turned = mirrored(len(self.x), epoch, config.seed).to(self.device)
        with as_relu(self.model, ann), common_statistics(self.model, self.processes):
            for index in range(self.batches):
                chosen = order[index * config.batch_size : (index + 1) * config.batch_size]
                loss, correct = self._step(chosen.to(self.device), ann, turned)
                total += loss
                right += correct
        seen = self.batches * min(config.batch_size, len(self.x))
        self.processes.total(total)
        self.processes.total(right)
        mean = float(total) / (self.batches * self.processes.count)
        if not math.isfinite(mean):
            raise self._diverged(mean, epoch)
        return mean, int(right) / seen

    def steps(self, count: int) -> None:
        """Training steps on the first samples, to see how long they take."""
        config, ann = self.config, self.config.ann_epochs > 0
        turned = mirrored(len(self.x), 0, config.seed) if config.alternate else None
        chosen = torch.arange(min(config.batch_size, len(self.x)))
        self.model.train()
        with as_relu(self.model, ann):
            for _ in range(count):
                self._step(chosen, ann, turned)

    def _diverged(self, loss: float, epoch: int) -> RangeError:
        """What to lower: images are finite, so that numbers beyond the usual ones are to blame."""
        config, usual = self.config, TrainConfig()
        names = ["lr"]
        names += [n for n in SUSPECTS if getattr(config, n) != getattr(usual, n)]
        return RangeError(
            f"the loss must stay finite, got {loss} in epoch {epoch + 1}; lower "
            f"{' or '.join(names)}"
        )

    def _step(
        self, chosen: torch.Tensor, ann: bool, turned: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One batch: detached loss, number of right classes."""
        config = self.config
        mirror = None if turned is None else turned[chosen]
        x, y = augment(self.x[chosen], config, self.generator, mirror), self.y[chosen]
        target = y
        if config.mixup:
            x, target = mixup(x, y, len(self.classes), config.mixup, self.generator)
        x, y, target = map(self.processes.mine, (x, y, target))
        shown = first_frame(x, len(self.model.config.input_shape)) if ann else x
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=config.amp):
            scores = self.parallel(shown)
        loss = F.cross_entropy(scores.float(), target, label_smoothing=config.label_smoothing)
        if self.teacher is not None:
            soft = soft_loss(scores.float(), self.teacher, x, config.temperature, self.columns)
            loss = (1 - config.distil) * loss + config.distil * soft
        if self.penalty is not None:
            events = self.penalty.take(len(x))
            if not ann:
                loss = loss + config.event_penalty * events
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        if self.average is not None:
            self.average.update(self.model)
        return loss.detach(), (scores.argmax(1) == y).sum()

    def finish(self, done: int) -> None:
        """What the ends of a phase and of the training add to an epoch."""
        config = self.config
        if done == config.ann_epochs:
            self.model.load_state_dict(self.result.state_dict())
            convert(self.model, self._calibration(), config.ann_percentile)
            if self.average is not None:
                self.average.restart(self.model)
            self._start_phase(config.epochs - config.ann_epochs)
        if done == config.epochs:
            short = config.recalibrate is None and config.epochs * self.batches < SHORT
            if config.recalibrate or short:
                recalibrate(self.result, self._calibration())

    def _calibration(self) -> Iterator[torch.Tensor]:
        """Training images as they are, in whole batches of one fixed order."""
        order = torch.randperm(
            len(self.x), generator=torch.Generator().manual_seed(self.config.seed)
        )
        size = self.config.batch_size
        for index in range(max(1, min(CALIBRATION_BATCHES, len(self.x) // size))):
            yield self.x[order[index * size : (index + 1) * size].to(self.device)]

    def state(self, done: int) -> dict[str, Any]:
        """What a checkpoint holds beside the network."""
        state = {
            "epoch": done,
            "train_config": asdict(self.config),
            "dataset": self.dataset,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "threads": torch.get_num_threads(),
        }
        if self.average is not None:
            state["ema"] = self.average.state(self.model)
        if self.teacher is not None:
            state["teacher"] = fingerprint(self.teacher)
        if self.start:
            state["start"] = self.start
        return state

    def restore(self, path: Path) -> int:
        """Go on from a checkpoint: epochs done; ConfigError if it is of another training."""
        content = load_checkpoint(path)
        with trusted(path, "training"):
            model_config = ModelConfig.from_stored(content["config"])
            # options that the checkpoint is older than had their default
            stored = asdict(TrainConfig(**content["train_config"]))
            other = [name for name, value in asdict(self.config).items() if stored[name] != value]
            names = stored_names(content, self.model.config.classes)
        if model_config != self.model.config:
            built, mine = model_config.to_dict(), self.model.config.to_dict()
            differ = _named([name for name in mine if built[name] != mine[name]], built)
            raise ConfigError(
                f"{path} holds another network{differ}; resume with its options, or train into "
                "another folder"
            )
        if other:
            raise ConfigError(
                f"{path} was trained with other options{_named(other, stored)}; resume with the "
                "same, or start a training of its own from it (start, --from)"
            )
        for name, here, what in (
            ("dataset", self.dataset, "data and --validation"),
            ("teacher", fingerprint(self.teacher), "teacher"),
            ("start", self.start, "network to start from"),
        ):
            if content.get(name, "") != here:
                raise ConfigError(
                    f"{path} was trained on {shown(content.get(name))}, not {here!r}; resume with "
                    f"the same {what}, or train into another folder"
                )
        if not names:
            warn_unnamed(str(path))
        elif names != self.classes:
            raise ConfigError(
                f"{path} was trained on the classes {shown(names)}, not {shown(self.classes)}; "
                "resume with the same data, or train into another folder"
            )
        with trusted(path, "training"):
            done = check_whole("epoch", content["epoch"], 1, self.config.epochs)
            steps = done * self.batches
            if self.config.ann_epochs and done >= self.config.ann_epochs:
                self._start_phase(self.config.epochs - self.config.ann_epochs)
                steps -= self.config.ann_epochs * self.batches
            check_whole("steps of the schedule", content["schedule"]["last_epoch"], steps, steps)
            load_weights(self.model, content["model"])
            if self.average is not None:
                check_whole("steps of the average", content["ema"]["steps"], steps, steps)
                self.average.load(content["ema"], self.model)
            load_moments(self.optimiser, content["optimiser"], steps)
            resume_schedule(self.schedule, steps)
            self.generator.set_state(content["generator"])
        return done


def _copy_weights(start: MultiLevelNetwork, model: MultiLevelNetwork) -> None:
    """Parameters and statistics; ConfigError where they are of other shapes."""
    try:
        load_weights(model, start.state_dict())
    except (RuntimeError, ValueError) as error:  # of torch, in several lines
        raise ConfigError(
            f"the network to start from must have the shapes of the one to train ({said(error)}); "
            "leave out options that change them"
        ) from None


def _named(names: list[str], stored: dict[str, Any]) -> str:
    """``" (epochs = 1)"``: the options that differ, as they were."""
    found = ", ".join(f"{name} = {stored[name]!r}" for name in names)
    return f" ({found})" if found else ""
