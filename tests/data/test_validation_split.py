"""Options are chosen on held-out training samples: the test samples have no part in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.data import Dataset
from lava_mlsnn.errors import ConfigError, DataError


def numbered(labels):
    """Samples that say who they are; the test samples are negative."""
    y = np.array(labels)
    x = np.arange(len(y), dtype=np.float32).reshape(-1, 1, 1, 1)
    names = tuple(str(n) for n in range(4))
    return Dataset("some", x, y, -1 - x, y, names, 15)


@settings(deadline=None, max_examples=40)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=60).map(lambda some: some * 2),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 9),
)
def test_a_validation_split_parts_the_training_samples_class_by_class(labels, share, seed):
    data = numbered(labels)
    part = data.validation(share, seed)
    numbers = np.concatenate([part.x_train, part.x_test]).ravel()
    assert sorted(numbers) == list(range(len(labels)))  # each once, no test sample
    for x, y in ((part.x_train, part.y_train), (part.x_test, part.y_test)):
        assert np.array_equal(data.y_train[x.ravel().astype(int)], y)
    for label in np.unique(labels):
        held, count = (part.y_test == label).sum(), labels.count(label)
        assert 1 <= held < count and abs(held - share * count) <= 1
    again = data.validation(share, seed)
    assert np.array_equal(part.x_test, again.x_test) and part.name != data.name
    assert (part.classes, part.input_levels) == (data.classes, data.input_levels)


def test_another_seed_holds_out_others():
    data = numbered([0, 1] * 50)
    assert not np.array_equal(data.validation(0.5, 0).x_test, data.validation(0.5, 1).x_test)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), "half"])
def test_a_share_that_leaves_one_side_empty_is_refused(share):
    with pytest.raises(ConfigError, match="share"):
        numbered([0, 0, 1, 1]).validation(share)


def test_a_class_of_one_sample_cannot_be_parted():
    with pytest.raises(DataError, match=r"two training samples of every class.*one of '1'"):
        numbered([0, 0, 1]).validation()
