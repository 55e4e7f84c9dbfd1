"""A trial is one training with one seed; an experiment asks a question of several."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lava_mlsnn.training.config import TrainConfig

__all__ = ["Claim", "Experiment", "Group", "Results", "Trial"]

# options that are younger than the first records: at their default they change no key
LATER = ("reflect", "alternate", "bias_lr", "output_lr", "norm_decay", "cutout")
Results = Mapping[str, Sequence[Mapping[str, Any]]]  # by group: one record per seed


@dataclass(frozen=True)
class Trial:
    """What one training is made of.

    Attributes
    ----------
    data : str
        Dataset, as ``mlsnn train --data``; ``cifar10`` stands for the folder that the
        user names.
    model : dict
        Settings of :class:`lava_mlsnn.ModelConfig`; shape, classes and input levels come
        from the data. Without the options of the start, it is the old one: records are
        older than these.
    recipe : TrainConfig
        Seed included.
    """

    data: str
    model: dict[str, Any]
    recipe: TrainConfig

    @property
    def key(self) -> str:
        """Name of its folder: equal trials of several experiments are trained once."""
        recipe, usual = asdict(self.recipe), asdict(TrainConfig())
        known = {k: v for k, v in recipe.items() if k not in LATER or v != usual[k]}
        content = {"data": self.data, "model": self.model, "recipe": known}
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Group:
    """Trials that differ in their seed only: a row of the report.

    Attributes
    ----------
    name, label : str
        For files, and for people.
    trial : Trial
        Of seed 0.
    seeds : int
        How many.
    """

    name: str
    label: str
    trial: Trial
    seeds: int = 1

    def trials(self) -> list[Trial]:
        """One per seed."""
        recipe = self.trial.recipe
        return [replace(self.trial, recipe=replace(recipe, seed=s)) for s in range(self.seeds)]


@dataclass(frozen=True)
class Claim:
    """What was expected, and what came.

    Attributes
    ----------
    text : str
        The claim, with its aim.
    measured : str
        In words and numbers.
    met : bool
        Whether the aim is reached.
    """

    text: str
    measured: str
    met: bool


@dataclass(frozen=True)
class Experiment:
    """Groups that are compared.

    Attributes
    ----------
    name, title : str
        For the command line, and for people.
    question : str
        What it is to find out.
    groups : tuple of Group
        Its rows.
    judge : callable
        ``judge(results)`` to a list of :class:`Claim`; called with complete results.
    plots : tuple of str
        Names in :data:`lava_mlsnn.reproduce.figures.PLOTS`.
    notes : str
        What the reader must know, such as that data is simulated.
    keep : tuple of str
        Groups whose network of seed 0 goes into the report's folder; the others are in
        the work folder only.
    """

    name: str
    title: str
    question: str
    groups: tuple[Group, ...]
    judge: Callable[[Results], list[Claim]]
    plots: tuple[str, ...] = ("accuracy",)
    notes: str = ""
    keep: tuple[str, ...] = ()
    data: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", tuple(sorted({g.trial.data for g in self.groups})))

    @property
    def command(self) -> str:
        """What a reader types."""
        folder = " --cifar10 FOLDER" if "cifar10" in self.data else ""
        return f"mlsnn reproduce {self.name}{folder}"
