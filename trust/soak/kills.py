"""SIGKILL at random moments of a training, an export and a reproduction, and going on after it."""

from __future__ import annotations

import mmap
import os
import random
import shutil
import signal
import struct
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lava_mlsnn.data import Dataset
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.reproduce import Trial, run_trial
from lava_mlsnn.reproduce.records import finished
from lava_mlsnn.training import TrainConfig, train
from lava_mlsnn.training.checkpoint import load_checkpoint, load_model
from netx_export import export_model

__all__ = ["equal", "kills"]

EPOCH = struct.Struct("<Q")
SHAPE = (1, 6, 5)
MODEL = ModelConfig(width=2, input_shape=SHAPE, classes=2, input_levels=15)
RECIPES = {
    "adamw": TrainConfig(epochs=5, batch_size=8, shift=1, flip=True),
    "sgd": TrainConfig(epochs=5, batch_size=8, optimiser="sgd", schedule="cosine", warmup=1.0),
    "ReLUs first": TrainConfig(epochs=5, batch_size=8, ann_epochs=2, mixup=0.2, ema=0.9),
}


def equal(a: Any, b: Any) -> bool:
    """Whether two contents of checkpoints are the same to the bit, types included."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    return type(a) is type(b) and bool(a == b)


@dataclass
class Job:
    """What is killed: ``run(folder, told)`` in a child, ``told`` the epochs that it reported."""

    name: str
    run: Callable[[Path, mmap.mmap], None]
    whole: Callable[[Path, int], None]  # after a kill, with the epochs that were reported
    result: Callable[[Path], Any]
    length: float = 0.0
    wanted: Any = None
    counts: dict[str, int] = field(default_factory=lambda: {"kills": 0, "finished": 0})


def _data() -> Dataset:
    x = np.random.default_rng(0).random((24, *SHAPE)).astype(np.float32)
    y = (x[..., :2].mean((1, 2, 3)) > x[..., 3:].mean((1, 2, 3))).astype(np.int64)
    return Dataset("halves", x, y, x[:8], y[:8], ("right", "left"), 15)


def _training(name: str, recipe: TrainConfig, data: Dataset) -> Job:
    def run(folder: Path, told: mmap.mmap) -> None:
        def report(epoch: Any) -> None:
            EPOCH.pack_into(told, 0, epoch.epoch)

        train(MODEL, data, recipe, checkpoint=folder / "model.pt", resume=True, report=report)

    def whole(folder: Path, told: int) -> None:
        path = folder / "model.pt"
        done = load_checkpoint(path)["epoch"] if path.exists() else 0
        assert done >= told, f"epoch {told} was reported, the checkpoint holds {done}"

    return Job(f"train, {name}", run, whole, lambda folder: load_checkpoint(folder / "model.pt"))


def _export(folder: Path, data: Dataset) -> Job:
    """Two networks over each other: the file is one of them at any moment."""
    models, kept = [], []
    for seed in (0, 1):
        path = folder / f"{seed}.pt"
        train(MODEL, data, TrainConfig(epochs=1, batch_size=8, seed=seed), checkpoint=path)
        models.append(load_model(path))
        export_model(models[-1], path.with_suffix(".net"))
        kept.append(path.with_suffix(".net").read_bytes())

    def run(place: Path, told: mmap.mmap) -> None:
        for number in range(20):
            export_model(models[number % 2], place / "a.net")

    def whole(place: Path, told: int) -> None:
        path = place / "a.net"
        assert not path.exists() or path.read_bytes() in kept, "the file is neither network"

    def result(place: Path) -> bytes:
        assert [p.name for p in place.iterdir()] == ["a.net"], "a temporary file is left"
        return (place / "a.net").read_bytes()

    return Job("export", run, whole, result)


def _reproduction(data: Dataset) -> Job:
    trial = Trial("digits", {"width": 2}, TrainConfig(epochs=4, batch_size=8))

    def run(place: Path, told: mmap.mmap) -> None:
        run_trial(trial, data, place)

    def whole(place: Path, told: int) -> None:
        path = place / trial.key / "model.pt"
        if path.exists():
            load_checkpoint(path)
        finished(trial, place)  # a record is whole or not there

    def result(place: Path) -> Any:
        record = finished(trial, place)
        assert record is not None
        parts = ("accuracy", "activity", "energy_nj", "parameters")
        return {name: record[name] for name in parts}

    return Job("reproduce", run, whole, result)


def _child(job: Job, place: Path, told: mmap.mmap) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        job.run(place, told)
    except BaseException:
        (place.parent / "error.txt").write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)


def _until_killed(job: Job, place: Path, told: mmap.mmap, moment: float) -> bool:
    """Whether the child came to its end before the moment."""
    pid = _child(job, place, told)
    end = time.monotonic() + moment
    status = None
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        time.sleep(0.001)
    else:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status or 0)
    assert code in (0, -signal.SIGKILL), (place.parent / "error.txt").read_text()
    return code == 0


def _chain(job: Job, place: Path, draw: random.Random, most: int) -> None:
    """Killed again and again, then to the end: the result is the uninterrupted one."""
    told = mmap.mmap(-1, mmap.PAGESIZE)
    place.mkdir()
    for _ in range(most):
        if _until_killed(job, place, told, draw.uniform(0, 1.1 * job.length)):
            break
        job.counts["kills"] += 1
        job.whole(place, EPOCH.unpack_from(told, 0)[0])
    else:
        assert _until_killed(job, place, told, 600)
    assert equal(job.result(place), job.wanted), "it ended otherwise than the uninterrupted one"
    job.counts["finished"] += 1


def kills(
    seconds: float, count: int, seed: int, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Kill each job ``count`` times, as far as the time goes; up to three in a row."""
    torch.set_num_threads(1)
    end, data = time.monotonic() + seconds, _data()
    work = Path(tempfile.mkdtemp(dir=folder))
    jobs = [_training(name, recipe, data) for name, recipe in RECIPES.items()]
    jobs += [_export(work, data), _reproduction(data)]
    findings: list[str] = []
    for job in jobs:
        place = work / job.name
        place.mkdir()
        began = time.monotonic()
        assert _until_killed(job, place, mmap.mmap(-1, mmap.PAGESIZE), 600)
        job.length, job.wanted = time.monotonic() - began, job.result(place)
    number = seed
    while time.monotonic() < end and any(job.counts["kills"] < count for job in jobs):
        for job in jobs:
            if time.monotonic() > end or job.counts["kills"] >= count:
                continue
            place = work / "place"
            try:
                _chain(job, place, random.Random(number), 3)
            except Exception:
                findings.append(f"{job.name}, seed {number}: {traceback.format_exc()[-1500:]}")
                say(findings[-1])
            finally:
                shutil.rmtree(place, ignore_errors=True)
            number += 1
        total = sum(job.counts["kills"] for job in jobs)
        say(f"{total} kills, {len(findings)} findings")
    return {"jobs": {job.name: job.counts for job in jobs}, "findings": findings}
