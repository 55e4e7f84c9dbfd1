"""The layer that works event by event, and the density at which it is as fast."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.cases.sparsity import crossover
from benchmarks.errors import SideError
from benchmarks.sides import sparsity


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_event_by_event_gives_the_integers_of_the_runner():
    found = sparsity.curve(1, channels=5, size=7, count=2, densities=[0.0, 0.3, 1.0], repeats=1)
    assert len(found["dense"]) == len(found["events"]) == 3  # else SideError: it compares


def test_without_a_compiler_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(sparsity.shutil, "which", lambda name: None)
    with pytest.raises(SideError, match="no C compiler"):
        sparsity.compiled(tmp_path)


@pytest.mark.parametrize(
    ("events", "density"),
    [([1.0, 4.0, 16.0], 0.05), ([3.0, 5.0, 9.0], 0.0), ([1.0, 1.0, 1.0], 1.0)],
)
def test_the_crossover_lies_between_the_points(events, density):
    """In logarithms: 1 to 4 passes 2 half way between 0.01 and 0.25."""
    assert crossover([0.01, 0.25, 1.0], [2.0, 2.0, 2.0], events) == pytest.approx(density)
