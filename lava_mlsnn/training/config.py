"""How to train: one record that a checkpoint stores; free of torch, so that help is fast."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from lava_mlsnn.choices import OPTIMISERS, SCHEDULES
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.option import Options, choice, flag, number, option, whole

__all__ = ["EpochReport", "LayerReport", "TrainConfig"]

LARGEST = 10**9
HUGE = 1e6  # 32-bit floating point holds what the optimiser makes of it


@dataclass(frozen=True)
class TrainConfig(Options):
    """How to train."""

    epochs: int = option(40, whole(1, LARGEST), "Passes over the training data.")
    batch_size: int = option(64, whole(2, LARGEST), "Samples per step.")  # one has no statistics
    lr: float = option(5e-3, number(0, 1e30, above=True), "Peak learning rate of the schedule.")
    weight_decay: float = option(
        1e-4, number(0, HUGE), "Decoupled for adamw, added to the gradient for sgd."
    )
    label_smoothing: float = option(0.05, number(0, 1), "Share of every class in the targets.")
    shift: int = option(
        0, whole(0, LARGEST), "Random shift of training images by up to so many pixels."
    )
    flip: bool = option(False, flag(), "Random horizontal mirror of training images.")
    reflect: bool = option(False, flag(), "shift: images go on as mirrored, not with zeros.")
    alternate: bool = option(
        False, flag(), "flip: every image is mirrored in every other epoch, not at random."
    )
    cutout: int = option(
        0,
        whole(0, LARGEST),
        "Side, in pixels, of a square at a random place of every training image that shows the "
        "batch's mean instead: against learning by heart.",
    )
    seed: int = option(0, whole(0, 2**63 - 1), "Initial weights, order of samples, augmentation.")
    # A longer training has adapted its rounded weights to the running statistics (digits, 10
    # seeds, 60 epochs: 0.15 points better with them).
    recalibrate: bool | None = option(
        None,
        flag(optional=True),
        "Measure BatchNorm statistics over the training images at the end; left out: after fewer "
        "than 100 batches, when running ones still hold some of their start.",
    )
    amp: bool = option(
        False,
        flag(),
        "Convolutions and dense layers in bfloat16 while training: GPUs, CPUs that have it.",
    )
    optimiser: str = option("adamw", choice(OPTIMISERS), "sgd has Nesterov momentum.")
    bias_lr: float = option(
        1.0, number(0, HUGE, above=True), "Learning rate of biases, in units of the weights'."
    )
    output_lr: float = option(
        1.0,
        number(0, HUGE, above=True),
        "Learning rate of the scores' weights, in units of the others': behind a sum over A places "
        "their gradient is that of an average times A, and they are A times smaller.",
    )
    norm_decay: bool = option(
        True,
        flag(),
        "weight_decay holds for BatchNorm too; its gains are what thresholds are compared with, so "
        "that a strong one silences channels.",
    )
    momentum: float = option(0.9, number(0, 1, below=True), "Of sgd.")
    schedule: str = option("one-cycle", choice(SCHEDULES), "How the learning rate moves.")
    warmup: float = option(0.0, number(0, HUGE), "Epochs of linear rise (cosine, step).")
    step_epochs: int = option(30, whole(1, LARGEST), "step: epochs between two falls.")
    step_factor: float = option(
        0.5, number(0, 1, above=True), "step: what the learning rate is multiplied by."
    )
    mixup: float = option(
        0.0, number(0, HUGE), "Mix pairs of images and targets; Beta parameter, such as 0.2."
    )
    ema: float = option(
        0.0,
        number(0, 1, below=True),
        "Decay, such as 0.999, of an average of weights and BatchNorm statistics, which is what "
        "is evaluated and exported.",
    )
    distil: float = option(
        0.0, number(0, 1), "Weight of a teacher's soft targets (0.5 with --teacher)."
    )
    temperature: float = option(2.0, number(0, HUGE, above=True), "Of the teacher's soft targets.")
    ann_epochs: int = option(
        0,
        whole(0, LARGEST),
        "The first so many epochs train ReLUs, which are converted; then spikes, with a schedule "
        "of their own.",
    )
    ann_percentile: float = option(
        99.9,
        number(0, 100, above=True),
        "Percentile of the ReLUs' activations that the largest payload stands for.",
    )
    event_penalty: float = option(
        0.0, number(0, HUGE), "Weight of a sample's synaptic events in the loss."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ann_epochs < self.epochs:
            raise ConfigError(
                f"ann_epochs must leave epochs for the spiking network, got {self.ann_epochs} of "
                f"{self.epochs}"
            )
        for name, needs in (("reflect", "shift"), ("alternate", "flip")):
            if getattr(self, name) and not getattr(self, needs):
                raise ConfigError(f"{name} goes with {needs}; set {needs} too, or leave {name} out")
        if self.warmup and self.schedule == "one-cycle":
            raise ConfigError(
                "warmup goes with the schedules cosine and step; one-cycle has its own rise"
            )


@dataclass(frozen=True)
class LayerReport:
    """What a population sends, see :mod:`lava_mlsnn.training.measure`."""

    events: float  # per sample
    saturated: float  # share of messages, 0..1
    dead: int  # channels
    channels: int


@dataclass(frozen=True)
class EpochReport:
    """What one epoch did."""

    epoch: int  # 1-based
    epochs: int
    loss: float
    accuracy: float  # on the training batches, 0..1
    lr: float = 0.0  # at the end of the epoch
    seconds: float = 0.0  # measuring included, writing not
    validation: float | None = None  # accuracy of the exported integers, 0..1
    layers: dict[str, LayerReport] = field(default_factory=dict)
    relu: bool = False  # both accuracies are those of the ReLUs, in floats (ann_epochs)

    @property
    def events(self) -> float:
        """Of all spiking populations, per sample."""
        return sum(layer.events for layer in self.layers.values())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form: a line of log.jsonl."""
        return {
            "epoch": self.epoch,
            "loss": self.loss,
            "accuracy": None if self.relu else self.accuracy,
            "validation_accuracy": None if self.relu else self.validation,
            "relu_accuracy": self.accuracy if self.relu else None,
            "relu_validation_accuracy": self.validation if self.relu else None,
            "events": self.events,
            "lr": self.lr,
            "seconds": round(self.seconds, 3),
            "layers": {name: asdict(layer) for name, layer in self.layers.items()},
        }
