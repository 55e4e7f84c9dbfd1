"""Data of a command: samples that fit a network, and what is said of them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from lava_mlsnn.cli.console import Console
from lava_mlsnn.data import check_fits, draw_samples, load_dataset
from lava_mlsnn.data.class_names import UNNAMED, NamesWarning
from lava_mlsnn.data.dataset import HELD_OUT
from lava_mlsnn.data.folder import StrayWarning
from lava_mlsnn.data.image import Fit
from lava_mlsnn.data.load import EVENTS, is_here
from lava_mlsnn.errors import ConfigError, DataError
from lava_mlsnn.training.log import LogWarning
from netx_export.spec import NetworkSpec

__all__ = ["by_name", "named_samples", "said", "test_samples"]

SEED = 0
SAID = (NamesWarning, StrayWarning, LogWarning)


@contextmanager
def said(console: Console) -> Iterator[None]:
    """What is left out or cannot be compared is a line of the command, not one of Python."""
    with warnings.catch_warnings():
        for kind in SAID:
            warnings.simplefilter("always", kind)
        before = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, SAID):
                console.say(str(message))
            else:
                before(message, category, *place, **more)

        warnings.showwarning = show
        yield


def test_samples(
    console: Console, spec: NetworkSpec, data: str | None, samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Samples and labels of :func:`named_samples`."""
    return named_samples(console, spec, data, samples)[:2]


def named_samples(
    console: Console, spec: NetworkSpec, data: str | None, samples: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """Test samples of a dataset that fits the network, drawn over all classes by a seed.

    Where none is named, of the one that the network was trained with. Labels are numbered
    as the network's outputs, by the names of both. The text says which samples these are.

    Raises
    ------
    DataError, ConfigError
        If the data cannot be read, or has another shape or other classes.
    """
    known = _trained_with(spec)
    if not data and known.problem:
        raise DataError(known.problem)
    name = data or known.name
    fit = known.fit if os.path.isdir(os.path.expanduser(name.removesuffix(EVENTS))) else None
    with said(console), console.progress("reading images") as follow:
        try:
            dataset = load_dataset(
                name,
                follow,
                timesteps=spec.timesteps,
                fit=fit,
                test_only=True,
                colour=spec.input.shape[0] == 3,
            )
            check_fits(dataset, spec.input.shape, spec.output.shape[0], spec.timesteps)
            dataset = dataset.counted_as(spec.class_names)
        except (DataError, ConfigError) as error:
            if data is None:
                raise DataError(
                    f"the file was trained with {name}: {error}; name data with --data"
                ) from None
            raise
    chosen = draw_samples(dataset.y_test, samples, SEED)
    some = f"{len(chosen)} of {len(dataset.y_test)} samples, drawn over all classes by seed {SEED}"
    whole = len(chosen) == len(dataset.y_test)
    which = f"all {len(chosen)} samples" if whole else some
    text = f"the test split of {name}{fit or ''}, {which}"
    console.say(f"data: {text}")
    if not spec.class_names:
        console.say(f"the file {UNNAMED}")
    return dataset.x_test[chosen], dataset.y_test[chosen], text


class TrainedWith(NamedTuple):
    """The data that a file was trained with, as far as it says so."""

    name: str
    fit: Fit | None  # how images were brought to one size
    problem: str  # why it cannot be taken; "" if it can


def _trained_with(spec: NetworkSpec) -> TrainedWith:
    text = spec.provenance.get("dataset")
    if not isinstance(text, str):
        no = "the file does not say what it was trained with; name data with --data"
        return TrainedWith("", None, no)
    name, fit = Fit.split(HELD_OUT.sub("", text))
    problem = (
        ""
        if is_here(name)
        else f"the file was trained with {name!r}, and there is no such folder here; name it with "
        "--data"
    )
    return TrainedWith(name, fit, problem)


def by_name(names: tuple[str, ...], classes: np.ndarray) -> list[Any]:
    """Names of predicted classes, or their numbers where the file has no names."""
    found: list[int] = classes.tolist()
    return [names[c] for c in found] if names else found
