"""Fan-out is what counting the expanded connections gives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lava_mlsnn.errors import FormatError
from netx_export.spec import Conv, Dense, Identity
from netx_export.spec.kernels import conv_output_size


@st.composite
def convolutions(draw):
    """A convolution and the shape that it reads."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    groups = draw(st.integers(1, 3))
    shape = (groups * draw(st.integers(1, 2)), *pair(1, 7))
    kernel, stride, padding, dilation = pair(1, 4), pair(1, 3), pair(0, 3), pair(1, 2)
    assume(min(conv_output_size(shape[1:], kernel, stride, padding, dilation)) >= 1)
    out = groups * draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    weight = rng.integers(-1, 2, (out, shape[0] // groups, *kernel))  # a third is 0
    return Conv(0, weight, 0, stride, padding, dilation, groups), shape


def counted(synapse, shape, nonzero):
    """Every (output, tap) pair, one by one."""
    channels, height, width = synapse.output_shape(shape)
    found = np.zeros(shape, np.int64)
    per_group = shape[0] // synapse.groups
    taps = [range(n) for n in synapse.weight.shape]
    for (o, c, i, j), v, u in itertools.product(
        itertools.product(*taps), range(height), range(width)
    ):
        y = v * synapse.stride[0] - synapse.padding[0] + i * synapse.dilation[0]
        x = u * synapse.stride[1] - synapse.padding[1] + j * synapse.dilation[1]
        inside = 0 <= y < shape[1] and 0 <= x < shape[2]
        if inside and (synapse.weight[o, c, i, j] != 0 or not nonzero):
            group = o // (channels // synapse.groups)
            found[group * per_group + c, y, x] += 1
    return found


@given(convolutions(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_convolution_has_the_connections_that_counting_finds(drawn, nonzero):
    synapse, shape = drawn
    assert np.array_equal(synapse.fan_out(shape, nonzero), counted(synapse, shape, nonzero))


def test_borders_by_hand():
    """3x3 on 3x3 with padding 1: a corner is in 4 windows, an edge in 6, the middle in 9."""
    synapse = Conv(0, np.ones((2, 1, 3, 3), int), padding=(1, 1))
    expected = 2 * np.array([[[4, 6, 4], [6, 9, 6], [4, 6, 4]]])
    assert np.array_equal(synapse.fan_out((1, 3, 3)), expected)


def test_dense_and_identity():
    weight = np.array([[1, 0, 2], [0, 0, -3]])
    assert Dense(0, weight).fan_out((3,)).tolist() == [2, 2, 2]
    assert Dense(0, weight).fan_out((3,), nonzero=True).tolist() == [1, 0, 2]
    gain = Identity(0, np.array([5, 0]))
    assert np.array_equal(gain.fan_out((2, 2, 1)), np.ones((2, 2, 1)))
    assert gain.fan_out((2, 2, 1), nonzero=True).ravel().tolist() == [1, 1, 0, 0]


def test_a_synapse_that_does_not_fit_is_refused():
    with pytest.raises(FormatError, match="2 inputs"):
        Dense(0, np.ones((3, 2), int)).fan_out((5,))
