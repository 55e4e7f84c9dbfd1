"""Training: one plain loop, resumable to the bit; the recipe is a :class:`TrainConfig`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lava_mlsnn.checks import check_threads
from lava_mlsnn.data import Dataset
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.models import ModelConfig, MultiLevelNetwork
from lava_mlsnn.models.config import StartWarning
from lava_mlsnn.training.checkpoint import save_checkpoint
from lava_mlsnn.training.config import EpochReport, LayerReport, TrainConfig
from lava_mlsnn.training.distil import Teacher
from lava_mlsnn.training.evaluate import accuracy
from lava_mlsnn.training.log import TrainingLog
from lava_mlsnn.training.session import Training

__all__ = ["EpochReport", "TrainConfig", "accuracy", "train"]


def train(
    model_config: ModelConfig,
    dataset: Dataset,
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    teacher: Teacher | None = None,
    start: MultiLevelNetwork | None = None,
    validate: bool = False,
    log: bool = False,
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
        Training part is used; the test part is not looked at unless ``validate`` says so.
    config : TrainConfig
        Recipe.
    checkpoint : Path, optional
        Written after every epoch; a stopped training goes on from it.
    resume : bool
        Continue ``checkpoint`` if it exists (same configurations required). The
        result equals that of an uninterrupted run.
    teacher : callable, optional
        Scores (N, classes) of a batch, such as a network of
        :func:`lava_mlsnn.training.load_model`; used where ``config.distil`` is not 0.
    start : MultiLevelNetwork, optional
        Network whose parameters and statistics this training starts from, with a schedule
        of its own: of the same shapes and class names.
    validate : bool
        Measure the exported integers on ``dataset.x_test`` after every epoch. Give
        :meth:`Dataset.validation`, whose test part is of the training samples.
    log : bool
        Keep ``log.jsonl``, ``best.pt`` and ``curve.png`` beside the checkpoint, see
        :mod:`lava_mlsnn.training.log`. What layers send is counted on the first validation
        samples, or training samples where there are none.
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
    FormatError
        If the checkpoint is damaged.
    RangeError
        If the loss leaves the floating range.

    Warns
    -----
    StartWarning
        For options that are known not to train well together.
    LogWarning
        If a training goes on whose log lacks epochs.
    """
    for doubt in model_config.doubts():
        warnings.warn(doubt, StartWarning, stacklevel=2)
    check_threads(threads)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with _enough_memory():
            run = Training(model_config, dataset, config, teacher, device, start)
            return _train(run, checkpoint, resume, validate, log, report)
    finally:
        torch.set_num_threads(before)


def _train(
    run: Training,
    checkpoint: Path | None,
    resume: bool,
    validate: bool,
    log: bool,
    report: Callable[[EpochReport], None] | None,
) -> MultiLevelNetwork:
    config, written = run.config, None
    try:
        done = run.restore(checkpoint) if resume and checkpoint and checkpoint.exists() else 0
        run.processes.agree("checkpoint to go on from (epochs)", done)
        if run.processes.rank:  # the first one writes and tells
            checkpoint, validate, log, report = None, False, False, None
        if log:
            written = TrainingLog(checkpoint, done)
        for epoch in range(done, config.epochs):
            begin = time.perf_counter()
            loss, right = run.epoch(epoch)
            relu = epoch < config.ann_epochs
            held = run.relu_accuracy() if relu and validate else None
            run.finish(epoch + 1)
            layers: dict[str, LayerReport] = {}
            if not relu:
                held, layers = run.measure(validate, log)
            seconds = time.perf_counter() - begin
            told = EpochReport(
                epoch + 1, config.epochs, loss, right, run.lr, seconds, held, layers, relu
            )
            if written is not None:
                written.append(told)
            if checkpoint is not None:
                save_checkpoint(checkpoint, run.result, run.state(epoch + 1))
            if written is not None:
                written.checkpointed(epoch + 1 == config.epochs)
            if report is not None:
                report(told)
        return run.result.eval()
    finally:
        run.close()
        if written is not None:
            written.close()


@contextmanager
def _enough_memory() -> Iterator[None]:
    """ConfigError that says what to make smaller, where the memory does not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
        if not known and "allocate memory" not in str(error):
            raise
        raise ConfigError(
            "the training needs more memory than there is; make width, timesteps or batch_size "
            "smaller"
        ) from None
