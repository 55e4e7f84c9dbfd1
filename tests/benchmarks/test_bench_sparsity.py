"""The layer that works event by event, and the density at which it is as fast."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.cases.sparsity import TRAINED, crossover
from benchmarks.errors import SideError
from benchmarks.sides import activity, native, sparsity


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_event_by_event_gives_the_integers_of_the_runner():
    found = sparsity.curve(1, channels=5, size=7, count=2, densities=[0.0, 0.3, 1.0], repeats=1)
    assert len(found["dense"]) == len(found["events"]) == 3  # else SideError: it compares


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_by_groups_gives_the_integers_of_the_runner():
    """On drawn payloads, of every density; a machine without that form gives no times."""
    found = sparsity.curve(1, channels=64, size=5, count=2, densities=[0.0, 0.3, 1.0], repeats=1)
    assert len(found["groups"]) in (0, 3)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_layers_of_a_trained_network_by_groups_give_its_integers():
    """On a network's own payloads, strides and shortcuts included; else SideError."""
    network = str(TRAINED / "cifar10-blocks-integrating-priced.net")
    rows = activity.layers(1, network, count=2, repeats=1)["layers"]
    assert all(row["dense"] > 0 for row in rows)
    grouped = [row for row in rows if row["groups"] is not None]
    assert all(row["density"] <= row["group_density"] <= 4 * row["density"] for row in grouped)


def test_without_a_compiler_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(native.shutil, "which", lambda name: None)
    with pytest.raises(SideError, match="no C compiler"):
        native.compiled("events.c", tmp_path)


@pytest.mark.parametrize(
    ("events", "density"),
    [([1.0, 4.0, 16.0], 0.05), ([3.0, 5.0, 9.0], 0.0), ([1.0, 1.0, 1.0], 1.0)],
)
def test_the_crossover_lies_between_the_points(events, density):
    """In logarithms: 1 to 4 passes 2 half way between 0.01 and 0.25."""
    assert crossover([0.01, 0.25, 1.0], [2.0, 2.0, 2.0], events) == pytest.approx(density)
