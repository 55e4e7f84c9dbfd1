"""``mlsnn train``."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lava_mlsnn.cli.console import Console
from lava_mlsnn.cli.data import said
from lava_mlsnn.data import load_dataset
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.models.config import VGGS
from lava_mlsnn.training.config import TrainConfig
from netx_export.file.atomic import make_folder

__all__ = ["check_idle", "run_train"]

CHECKPOINT = "model.pt"
FEW = 10  # steps of an epoch below which whole batches alone matter
NEEDS = {  # options that nothing looks at, unless another has one of these values
    "barrier_threshold": ("barrier", ("respiking",)),
    "shortcut_neuron": ("barrier", ("integrating",)),
    "pool": ("arch", VGGS),
    "momentum": ("optimiser", ("sgd",)),
    "step_epochs": ("schedule", ("step",)),
    "step_factor": ("schedule", ("step",)),
    "temperature": ("distil", ()),
    "ann_percentile": ("ann_epochs", ()),
}


def check_idle(network: dict[str, Any], given: dict[str, Any], recipe: TrainConfig) -> None:
    """ConfigError for options that were given and would do nothing."""
    usual = ModelConfig().to_dict()
    asked = [name for name, value in network.items() if value != usual[name]]
    asked += [name for name, value in given.items() if value is not None]
    values = {**asdict(recipe), **network}
    for name in filter(NEEDS.get, asked):
        needs, those = NEEDS[name]
        if values[needs] not in those if those else not values[needs]:
            such = f" {' or '.join(those)}" if those else ""
            raise ConfigError(
                f"--{name.replace('_', '-')} does nothing without --{needs.replace('_', '-')}{such}"
                "; add that, or leave it out"
            )


def run_train(
    console: Console,
    out: Path,
    data: str,
    settings: dict[str, Any],
    recipe: TrainConfig,
    *,
    root: Path | None,
    download: bool,
    teacher: Path | None,
    validation: float,
    device: str,
    resume: bool,
    threads: int,
) -> None:
    """Load data, train, report both accuracies."""
    import torch

    from lava_mlsnn.training.checkpoint import load_model
    from lava_mlsnn.training.loop import EpochReport, accuracy, train

    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise ConfigError(f"device must be cpu, or cuda where torch finds a GPU, got {device!r}")
    teaches = None if teacher is None else load_model(teacher)
    make_folder(out)
    path = out / CHECKPOINT
    if path.exists() and not resume:
        raise ConfigError(
            "the folder holds a training; add --resume to go on with it, or name another with "
            "--out",
            str(path),
        )
    with console.progress("reading images") as follow:
        dataset = load_dataset(
            data, follow, timesteps=settings["timesteps"], root=root, download=download
        )
    if validation:
        dataset = dataset.validation(validation)
    config = ModelConfig.from_dict(
        {
            "input_shape": dataset.shape,
            "classes": len(dataset.classes),
            "input_levels": dataset.input_levels,
            **settings,
        }
    )
    _say_few_steps(console, len(dataset.x_train), recipe.batch_size)
    start = time.perf_counter()
    with said(console), console.progress("training") as follow:

        def report(epoch: EpochReport) -> None:
            follow(epoch.epoch, epoch.epochs)
            if console.err.is_terminal:
                return
            console.note(
                f"epoch {epoch.epoch} of {epoch.epochs}: loss {epoch.loss:.4f}, "
                f"training accuracy {100 * epoch.accuracy:.2f} %"
            )

        model = train(
            config,
            dataset,
            recipe,
            checkpoint=path,
            resume=resume,
            teacher=teaches,
            report=report,
            device=device,
            threads=threads,
        )
    seconds = time.perf_counter() - start
    integer = accuracy(model, dataset.x_test, dataset.y_test, "integer")
    floating = accuracy(model, dataset.x_test, dataset.y_test, "float")
    split = "validation" if validation else "test"
    console.say(f"trained {config.arch} for {recipe.epochs} epochs in {seconds:.0f} s: {path}")
    console.say(
        f"{split} accuracy {100 * floating:.2f} % with float weights, {100 * integer:.2f} % in the "
        f"integers that are exported ({len(dataset.x_test)} samples)"
    )
    console.result(
        {
            "checkpoint": path,
            "accuracy_float": floating,
            "accuracy_integer": integer,
            "samples": len(dataset.x_test),
            "seconds": seconds,
        }
    )


def _say_few_steps(console: Console, samples: int, batch_size: int) -> None:
    """A line where an epoch is of a few steps, and of whole batches only."""
    steps = max(1, samples // batch_size)
    left = samples - steps * min(batch_size, samples)
    if steps < FEW:
        word = "step" if steps == 1 else "steps"
        out = f": {left} of {samples} samples are left out of each, drawn anew" if left else ""
        console.say(f"{steps} {word} an epoch{out}; a smaller --batch-size takes more")
