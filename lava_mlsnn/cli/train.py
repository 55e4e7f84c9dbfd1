"""``mlsnn train``."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from lava_mlsnn.checks import check_threads
from lava_mlsnn.cli.console import Console
from lava_mlsnn.cli.data import said
from lava_mlsnn.data import load_dataset
from lava_mlsnn.data.image import Fit
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.launcher import launched
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.models.config import RESNETS, VGGS, unfit
from lava_mlsnn.native.compiled import missing
from lava_mlsnn.training.checkpoint import CHECKPOINT, load_checkpoint, load_model
from lava_mlsnn.training.config import EpochReport, TrainConfig
from lava_mlsnn.training.evaluate import accuracy
from lava_mlsnn.training.log import BEST, CURVE, LOG, best_of, read_log
from lava_mlsnn.training.loop import train
from lava_mlsnn.training.processes import Processes, process_group
from lava_mlsnn.training.session import Training
from lava_mlsnn.training.threads import cores, fastest, step_times
from netx_export.file.atomic import make_folder

__all__ = ["CHECKPOINT", "Plan", "run_train"]

LINES = 10  # of a training whose output is no terminal
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


@dataclass(frozen=True)
class Plan:
    """What ``mlsnn train`` was asked for."""

    out: Path
    data: str
    root: Path | None
    download: bool
    fit: Fit | None
    network: dict[str, Any]  # options that were given
    training: dict[str, Any]  # the same
    recipe: TrainConfig  # with them
    start: Path | None
    teacher: Path | None
    validation: float
    device: str
    resume: bool
    threads: int | None

    @property
    def checkpoint(self) -> Path:
        """Where the training lies."""
        return self.out / CHECKPOINT

    def check(self, network: dict[str, Any]) -> None:
        """ConfigError for what cannot work, before a large dataset is read.

        ``network`` has all options of the network.
        """
        values = {**asdict(self.recipe), **network, **self.network}
        for name in filter(NEEDS.get, [*self.network, *self.training]):
            needs, those = NEEDS[name]
            if values[needs] not in those if those else not values[needs]:
                option, other = (f"--{n.replace('_', '-')}" for n in (name, needs))
                such = f" {' or '.join(those)}" if those else ""
                raise ConfigError(
                    f"{option} does nothing without {other}{such}; add that, or leave it out"
                )
        cuda = self.device == "cuda" and torch.cuda.is_available()
        if self.device != "cpu" and not cuda:
            raise ConfigError(
                f"device must be cpu, or cuda where torch finds a GPU, got {self.device!r}"
            )
        check_threads(self.threads or 0)
        if not 0 <= self.validation < 1:
            raise ConfigError(
                "validation must be a share of the training samples, at least 0 and below 1, got "
                f"{self.validation:g}"
            )
        if self.checkpoint.exists() and not self.resume:
            raise ConfigError(
                "the folder holds a training; add --resume to go on with it, train on from it into "
                f"another folder with --from {self.out} --out FOLDER, or name another with --out",
                str(self.checkpoint),
            )


def run_train(console: Console, plan: Plan) -> None:
    """Train; as one of the processes of torchrun, if it was started so. The first of them tells."""
    if launched()[0]:
        console.mute()
    with process_group(plan.device):
        _run(console, plan)


def _run(console: Console, plan: Plan) -> None:
    """Load data, train, and at the end measure on the test samples, once."""
    processes = Processes()
    start = None if plan.start is None else load_model(plan.start)
    network = {**(start.config if start else ModelConfig()).to_dict(), **plan.network}
    plan.check(network)
    teacher = None if plan.teacher is None else load_model(plan.teacher)
    make_folder(plan.out)
    reading = console.progress("reading images")
    with said(console), processes.first(plan.download), reading as follow:
        whole = load_dataset(
            plan.data,
            follow,
            timesteps=network["timesteps"],
            root=plan.root,
            download=plan.download,
            fit=plan.fit,
        )
    data = whole.validation(plan.validation) if plan.validation else whole
    if start is None:
        network["input_shape"], network["classes"] = whole.shape, len(whole.classes)
        network["input_levels"] = whole.input_levels
    config = ModelConfig.from_dict(network)
    if processes.count > 1:
        console.say(
            f"{processes.count} processes, each with {plan.recipe.batch_size // processes.count} "
            f"samples of a batch of {plan.recipe.batch_size}"
        )
    if plan.validation:
        console.say(
            f"data: {len(data.x_train)} samples to train on, {len(data.x_test)} held out to "
            f"validate with, {len(whole.x_test)} to test with at the end"
        )
    _say_few_steps(console, len(data.x_train), plan.recipe.batch_size)
    _say_unfit(console, config)
    begin = time.perf_counter()
    with said(console):
        # of DistributedDataParallel, for kernels of 1x1, where such a stride means nothing
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        if plan.device == "cpu" and (why := missing()):
            console.say(why)
        threads = _threads(console, plan, (config, data, plan.recipe, teacher, plan.device, start))
        with _followed(console, plan.recipe.epochs) as report, _threads_of_torch(threads):
            model = train(
                config, data, plan.recipe, checkpoint=plan.checkpoint, resume=plan.resume,
                teacher=teacher, start=start, validate=bool(plan.validation), log=True,
                report=report, device=plan.device,
            )  # fmt: skip
            if processes.rank:
                return
            if start is not None:
                whole = whole.counted_as(model.class_names)
            integer, floating = (
                accuracy(model, whole.x_test, whole.y_test, kind) for kind in ("integer", "float")
            )
    seconds = time.perf_counter() - begin
    console.say(
        f"test accuracy {100 * integer:.2f} % in the integers that are exported, "
        f"{100 * floating:.2f} % with float weights ({len(whole.x_test)} samples)"
    )
    best = best_of(read_log(plan.out / LOG))
    if best is not None:
        console.say(
            f"best validation accuracy {100 * best['validation_accuracy']:.2f} % in epoch "
            f"{best['epoch']}: {plan.out / BEST}"
        )
    console.say(
        f"trained {config.arch} for {plan.recipe.epochs} epochs in {seconds:.0f} s: "
        f"{plan.checkpoint}, {LOG}, {CURVE}"
    )
    console.result(
        {
            "checkpoint": plan.checkpoint,
            "accuracy_float": floating,
            "accuracy_integer": integer,
            "samples": len(whole.x_test),
            "validation_accuracy": None if best is None else best["validation_accuracy"],
            "best_epoch": None if best is None else best["epoch"],
            "best_checkpoint": None if best is None else plan.out / BEST,
            "log": plan.out / LOG,
            "curve": plan.out / CURVE,
            "threads": threads,
            "seconds": seconds,
        }
    )


def _threads(console: Console, plan: Plan, training: tuple[Any, ...]) -> int:
    """Threads to train with, and a line that says why."""
    most = cores()
    if plan.threads is not None:
        return plan.threads or most
    if plan.resume and plan.checkpoint.exists():
        before = load_checkpoint(plan.checkpoint).get("threads")
        if isinstance(before, int) and before > 0:
            console.say(
                f"{_counted(before)}, as before: other numbers add in another order, and the "
                "result would not be that of an uninterrupted training to the bit"
            )
            return check_threads(before)
    if most == 1 or plan.device != "cpu" or launched()[1] > 1:  # steps of one wait for the others
        return most
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the training itself says it
        times = step_times(Training(*training), most)
    found = fastest(times)
    measured = ", ".join(f"{1000 * t:.0f} ms on {n}" for n, t in times.items())
    console.say(f"{_counted(found)}: a step takes {measured} (--threads K sets another number)")
    return found


def _counted(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


@contextmanager
def _threads_of_torch(number: int) -> Iterator[None]:
    """So many threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _followed(console: Console, epochs: int) -> Iterator[Callable[[EpochReport], None]]:
    """A bar on a terminal; elsewhere about ten lines, since log.jsonl has them all."""
    every = -(-epochs // LINES)
    with console.progress("training", lines=False) as follow:

        def report(epoch: EpochReport) -> None:
            held = epoch.validation
            of = "ReLU " if epoch.relu else ""
            text = f"loss {epoch.loss:.4f}, {of}training accuracy {100 * epoch.accuracy:.2f} %" + (
                "" if held is None else f", {of}validation accuracy {100 * held:.2f} %"
            )
            follow(epoch.epoch, epoch.epochs)
            if not console.err.is_terminal and epoch.epoch in (1, epochs, *range(0, epochs, every)):
                console.note(f"epoch {epoch.epoch} of {epochs}: {text}")

        yield report


def _say_few_steps(console: Console, samples: int, batch_size: int) -> None:
    """A line where an epoch is of a few steps, and of whole batches only."""
    steps = max(1, samples // batch_size)
    left = samples - steps * min(batch_size, samples)
    if steps < FEW:
        word = "step" if steps == 1 else "steps"
        out = f": {left} of {samples} samples are left out of each, drawn anew" if left else ""
        console.say(f"{steps} {word} an epoch{out}; a smaller --batch-size takes more")


def _say_unfit(console: Console, config: ModelConfig) -> None:
    """A line where images are too large or too small for the depth of the network."""
    _, height, width = config.input_shape
    why = unfit(config.arch, height, width)
    if not why:
        return
    fits = [arch for arch in RESNETS if not unfit(arch, height, width)]
    advice = f"--arch {' or '.join(fits)}" if fits else "--resize 64 --arch sparse-resnet-18"
    console.say(
        f"images of {height} x {width} pixels do not suit {config.arch} ({why}); {advice} does"
    )
