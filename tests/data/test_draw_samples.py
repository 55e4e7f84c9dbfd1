"""Some of many samples: every class, the same ones every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_mlsnn.data import draw_samples
from lava_mlsnn.errors import ConfigError, DataError

labels = st.lists(st.integers(0, 12), max_size=80)


@given(labels, st.integers(0, 100), st.integers(0, 5), st.booleans())
def test_every_class_is_there_as_soon_as_there_are_enough(labels, count, seed, by_class):
    labels = np.array(sorted(labels) if by_class else labels, int)  # a folder is sorted
    chosen = draw_samples(labels, count, seed)
    size = min(count, len(labels)) if count else len(labels)
    assert len(chosen) == len(set(chosen.tolist())) == size
    assert size < len(set(labels.tolist())) or set(labels[chosen]) == set(labels)
    assert len(set(labels[chosen])) == min(size, len(set(labels.tolist())))
    assert np.array_equal(chosen, draw_samples(labels, count, seed))
    assert np.array_equal(chosen, draw_samples(labels, 0, seed)[:size])


def test_classes_keep_their_shares():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    assert np.bincount(labels[draw_samples(labels, 100)]).tolist() == pytest.approx(
        [60, 30, 10], abs=2
    )
    assert not np.array_equal(draw_samples(labels, 50), draw_samples(labels, 50, seed=1))


@pytest.mark.parametrize("bad", [-1, 1.5, "3", None])
def test_counts_that_cannot_be_are_named(bad):
    with pytest.raises(ConfigError, match="samples must be a whole number"):
        draw_samples([0, 1], bad)


@pytest.mark.parametrize("bad", [["a", "b"], [[0], [1]], [0.5]])
def test_labels_that_cannot_be_are_named(bad):
    with pytest.raises(DataError, match="labels must be"):
        draw_samples(bad, 1)
