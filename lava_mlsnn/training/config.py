"""How to train: one record that a checkpoint stores; free of torch, so that help is fast."""

from __future__ import annotations

from dataclasses import dataclass

from lava_mlsnn.checks import check_flag, check_number, check_whole
from lava_mlsnn.choices import OPTIMISERS, SCHEDULES, check_choice
from lava_mlsnn.errors import ConfigError

__all__ = ["EpochReport", "TrainConfig"]

LARGEST = 10**9
# name, smallest, largest
WHOLE = (
    ("epochs", 1, LARGEST),
    ("batch_size", 2, LARGEST),  # a batch of one sample has no batch statistics
    ("shift", 0, LARGEST),
    ("seed", 0, 2**63 - 1),
    ("step_epochs", 1, LARGEST),
    ("ann_epochs", 0, LARGEST),
)
# name: largest; 32-bit floating point holds what the optimiser makes of them
NUMBERS = {
    "lr": 1e30,
    "weight_decay": 1e6,
    "label_smoothing": 1,
    "momentum": 1,
    "warmup": 1e6,
    "step_factor": 1,
    "mixup": 1e6,
    "ema": 1,
    "distil": 1,
    "temperature": 1e6,
    "ann_percentile": 100,
    "event_penalty": 1e6,
}
POSITIVE = ("lr", "step_factor", "temperature", "ann_percentile")


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes
    ----------
    epochs, batch_size : int
        Length and batch.
    lr : float
        Peak learning rate of the schedule.
    weight_decay : float
        Decoupled for AdamW, added to the gradient for SGD.
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
    optimiser : {"adamw", "sgd"}
        ``sgd`` has Nesterov momentum ``momentum``.
    momentum : float
        Of ``sgd``, 0..1.
    schedule : {"one-cycle", "cosine", "step"}
        See :mod:`lava_mlsnn.training.schedule`.
    warmup : float
        Epochs of linear rise, for ``cosine`` and ``step``.
    step_epochs, step_factor : int, float
        ``step``: the learning rate is multiplied by the factor every so many epochs.
    mixup : float
        Parameter of the Beta distribution, see :mod:`lava_mlsnn.training.augment`; 0: none.
    ema : float
        Decay of the average of the weights, see :mod:`lava_mlsnn.training.ema`; 0: none.
        The average is what is evaluated and exported.
    distil, temperature : float
        Weight 0..1 of a teacher's soft targets and their temperature, see
        :mod:`lava_mlsnn.training.distil`; the teacher is an argument of ``train``.
    ann_epochs : int
        The first so many epochs train ReLUs, which are then converted, see
        :mod:`lava_mlsnn.training.ann_start`. Both parts have a schedule of their own.
    ann_percentile : float
        Percentile of the activations that the largest payload stands for.
    event_penalty : float
        Weight of the synaptic events of a sample, see :mod:`lava_mlsnn.training.penalty`.

    Raises
    ------
    ConfigError
        For a value that cannot work.
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
    optimiser: str = "adamw"
    momentum: float = 0.9
    schedule: str = "one-cycle"
    warmup: float = 0.0
    step_epochs: int = 30
    step_factor: float = 0.5
    mixup: float = 0.0
    ema: float = 0.0
    distil: float = 0.0
    temperature: float = 2.0
    ann_epochs: int = 0
    ann_percentile: float = 99.9
    event_penalty: float = 0.0

    def __post_init__(self) -> None:
        check_choice("optimiser", self.optimiser, OPTIMISERS)
        check_choice("schedule", self.schedule, SCHEDULES)
        # stored as plain int and float: a checkpoint cannot hold NumPy's
        for name, low, high in WHOLE:
            value = check_whole(name, getattr(self, name), low, high)
            object.__setattr__(self, name, value)
        for name, largest in NUMBERS.items():
            number = check_number(name, getattr(self, name), 0, largest, above=name in POSITIVE)
            object.__setattr__(self, name, number)
        check_flag("flip", self.flip)
        check_flag("amp", self.amp)
        if self.recalibrate is not None:
            check_flag("recalibrate", self.recalibrate)
        for name in ("ema", "momentum"):
            if getattr(self, name) == 1:
                raise ConfigError(f"{name} must be at least 0 and below 1, got 1.0")
        if not self.ann_epochs < self.epochs:
            raise ConfigError(
                f"ann_epochs must leave epochs for the spiking network, got {self.ann_epochs} of "
                f"{self.epochs}"
            )
        if self.warmup and self.schedule == "one-cycle":
            raise ConfigError(
                "warmup goes with the schedules cosine and step; one-cycle has its own rise"
            )


@dataclass(frozen=True)
class EpochReport:
    """What one epoch did."""

    epoch: int  # 1-based
    epochs: int
    loss: float
    accuracy: float  # on the training batches, 0..1
