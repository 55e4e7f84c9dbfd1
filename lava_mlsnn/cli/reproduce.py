"""``mlsnn reproduce``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lava_mlsnn.checks import meant
from lava_mlsnn.cli.console import Console
from lava_mlsnn.data import Dataset, load_dataset
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.launcher import launched
from lava_mlsnn.reproduce import EXPERIMENTS
from lava_mlsnn.reproduce.records import fingerprint, finished
from lava_mlsnn.reproduce.trial import Experiment, Trial
from netx_export.file.atomic import make_folder

__all__ = ["list_experiments", "run_reproduce"]


def list_experiments(console: Console) -> None:
    """Names, questions, and how many trainings each takes."""
    rows: list[list[Any]] = [
        [e.name, ", ".join(e.data), sum(g.seeds for g in e.groups), e.title]
        for e in EXPERIMENTS.values()
    ]
    console.table("experiments", ["name", "data", "trainings", "title"], rows)
    console.result({"experiments": [{"name": r[0], "data": r[1], "trainings": r[2]} for r in rows]})


def _chosen(names: list[str], cifar10: str) -> list[Experiment]:
    unknown = [n for n in names if n not in EXPERIMENTS]
    if unknown:
        raise ConfigError(
            f"an experiment is one of {', '.join(EXPERIMENTS)}, got {', '.join(unknown)}"
            f"{meant(unknown[0], EXPERIMENTS)}"
        )
    wanted = [EXPERIMENTS[n] for n in names] or [
        e for e in EXPERIMENTS.values() if cifar10 or "cifar10" not in e.data
    ]
    missing = [e.name for e in wanted if "cifar10" in e.data and not cifar10]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} needs CIFAR-10; name a folder of images with --cifar10, or give "
            "--cifar10 cifar10 for torchvision's files"
        )
    return wanted


def _part(text: str) -> tuple[int, int]:
    if not text:
        rank, count = launched()
        return rank + 1, count
    number, _, of = text.partition("/")
    whole = text.isascii() and number.isdigit() and of.isdigit() and len(text) < 20
    if not whole or not 1 <= int(number) <= int(of):
        raise ConfigError(f"part must be K/N with 1 <= K <= N, such as 1/2, got {text!r}")
    return int(number), int(of)


def run_reproduce(
    console: Console,
    names: list[str],
    work: Path,
    out: Path,
    cifar10: str,
    part: str,
    report_only: bool,
) -> None:
    """Run what is missing, then write the report of all that is finished."""
    from lava_mlsnn.reproduce import EXPERIMENTS, run_trial, write_report

    chosen = _chosen(names, cifar10 or ("-" if report_only else ""))
    number, of = _part(part)
    if not report_only:
        for folder, option in ((work, "--work"), (out, "--out")):
            make_folder(folder, option)
            if not os.access(folder, os.W_OK):
                raise ConfigError(
                    f"the folder must be writable; name another with {option}", str(folder)
                )
        trials = list(dict.fromkeys(_trials(chosen)))[number - 1 :: of]
        records = {item: finished(item.trial, work) for item in trials}
        missing = [item for item, record in records.items() if record is None]
        console.say(
            f"{len(trials)} trainings, {len(trials) - len(missing)} of them finished before"
        )
        if any(item.trial.data == "cifar10" for item in missing):
            _check_images(cifar10)
        known = {r["data"]: r["data_sha256"] for r in records.values() if r is not None}
        loaded: dict[tuple[str, int], Dataset] = {}
        for index, item in enumerate(missing, 1):
            trial = item.trial
            dataset = _load(console, trial, cifar10, loaded, known, work)
            title = f"{index} of {len(missing)}: {item.title}"
            with console.progress(title) as follow:
                record = run_trial(trial, dataset, work, follow)
            console.say(
                f"{title}: {100 * record['accuracy']['integer']:.2f} % in integers, "
                f"{record['activity']['all']['events']:,.0f} events a sample, "
                f"{record['training_seconds']:.0f} s"
            )
    found = write_report(list(EXPERIMENTS.values()), work, out)
    console.say(f"wrote {found}")
    console.result({"report": found, "work": work, "experiments": [e.name for e in chosen]})


def _check_images(name: str) -> None:
    """Complain about CIFAR-10 before hours of other trainings, not after them."""
    folder = Path(name).expanduser()
    if not ((folder / "train").is_dir() and (folder / "test").is_dir()):
        load_dataset(name)  # says what is wrong, or reads torchvision's files


def _check_same(known: dict[str, str], trial: Trial, dataset: Dataset, work: Path) -> None:
    """Results of other files under one name must not stand in one table."""
    if dataset.frames:
        return  # binned differently for every T
    found = fingerprint(dataset)
    if known.setdefault(trial.data, found) != found:
        raise ConfigError(
            f"finished trials used other files of {trial.data} than {dataset.name}; name those, "
            "or another folder with --work",
            str(work),
        )


class _Item:
    """A trial with its title; equal trials of two experiments are one."""

    def __init__(self, trial: Trial, title: str) -> None:
        self.trial, self.title = trial, title

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Item) and other.trial.key == self.trial.key

    def __hash__(self) -> int:
        return hash(self.trial.key)


def _trials(chosen: list[Experiment]) -> Iterator[_Item]:
    for experiment in chosen:
        for group in experiment.groups:
            for trial in group.trials():
                title = f"{experiment.name}, {group.label}, seed {trial.recipe.seed}"
                yield _Item(trial, title)


def _load(
    console: Console,
    trial: Trial,
    cifar10: str,
    loaded: dict[tuple[str, int], Dataset],
    known: dict[str, str],
    work: Path,
) -> Dataset:
    """The trial's data, read once; event data is binned into T frames."""
    name = cifar10 if trial.data == "cifar10" else trial.data
    timesteps = int(trial.model.get("timesteps", 1))
    if (name, timesteps) not in loaded:
        with console.progress("reading images") as follow:
            loaded.clear()  # one at a time: CIFAR-10 is 700 MB
            loaded[name, timesteps] = load_dataset(name, follow, timesteps=timesteps)
        _check_same(known, trial, loaded[name, timesteps], work)
    return loaded[name, timesteps]
