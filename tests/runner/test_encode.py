"""Data to payloads: rounding half up, clipping, and errors that say what is wrong."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_mlsnn.errors import DataError
from lava_mlsnn.runner import encode
from netx_export.spec import Dense, Input, NetworkSpec, Population, Readout


def spec(levels=15, signed=False, gain=1.0, shape=(2,), timesteps=1):
    size = math.prod(shape)
    out = Population("out", (1,), (Dense(0, np.ones((1, size))),), Readout())
    assert len(shape) == 1
    return NetworkSpec((Input(shape, levels, signed, gain), out), timesteps)


@given(
    st.lists(st.floats(-300, 300, width=32), min_size=2, max_size=2),
    st.sampled_from([1, 15, 127]),
    st.booleans(),
    st.sampled_from([1.0, 0.5, 16.0]),
)
def test_payloads_are_rounded_half_up_and_clipped(x, levels, signed, gain):
    low = -levels if signed else 0
    got = encode(spec(levels, signed, gain), np.array([x], np.float32))
    # exact arithmetic: these gains are powers of two
    wanted = [math.floor(Fraction(v) * Fraction(gain) + Fraction(1, 2)) for v in x]
    assert got.dtype == np.int64
    assert got[0].tolist() == [min(max(w, low), levels) for w in wanted]


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64, bool])
def test_any_number_kind_and_a_time_axis_are_taken(kind):
    x = np.array([[0, 1], [1, 0]]).astype(kind)
    assert np.array_equal(encode(spec(), x), x.astype(int))
    timed = np.repeat(x[..., None], 3, -1)
    assert np.array_equal(encode(spec(timesteps=3), timed), timed.astype(int))


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.array([[0.0, np.nan]]), "NaN"),
        (np.array([[np.inf, 0.0]]), "infinity"),
        (np.zeros((1, 3)), r"\(N, 2\).*got \(1, 3\)"),
        (np.zeros(2), r"got \(2,\)"),
        (np.zeros((1, 2, 3, 4)), r"got \(1, 2, 3, 4\)"),
        (np.array([["a", "b"]]), "numbers, got type"),
        (np.array([[1j, 0]]), "complex"),
        (np.array([[None, 0]]), "object"),
    ],
)
def test_what_is_no_sample_is_named(x, says):
    with pytest.raises(DataError, match=says):
        encode(spec(), x)
