"""The Process of a transposed convolution: the integers of the spec, in Lava's layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("lava.magma")

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.proc import ConvTranspose as Process
from lava_mlsnn.proc.conv.transposed import PyConvTransposeFixed, PyConvTransposeFloat
from netx_export import ConvTranspose
from netx_export.spec.widths import wrap24


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_process_gives_the_integers_of_the_spec_and_of_floats(drive_synapse, data):
    draw = data.draw
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    groups, kernel = draw(st.integers(1, 2)), pair(1, 3)
    window = {"stride": pair(1, 3), "padding": pair(0, 1), "dilation": pair(1, 2)}
    window["output_padding"] = tuple(n - 1 for n in window["stride"])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    top = draw(st.sampled_from([100, 1 << 20]))
    x = rng.integers(-20, top, (2, 4, 3, 2 * groups))  # (W, H, C)
    weight = rng.integers(-128, 128, (2 * groups, *kernel, draw(st.integers(1, 3))))

    def make():
        where = {"input_shape": x.shape[1:], "groups": groups, "num_message_bits": 24}
        return Process(weight=weight, **where, **window)

    turned = {name: value[::-1] for name, value in window.items()}
    spec = ConvTranspose(0, weight.transpose(0, 3, 2, 1), groups=groups, **turned)
    expected = spec.products(x.transpose(0, 3, 2, 1)).transpose(0, 3, 2, 1)
    fixed, model = drive_synapse(make(), PyConvTransposeFixed, x)
    floating, _ = drive_synapse(make(), PyConvTransposeFloat, x)
    assert not fixed[0].any()
    np.testing.assert_array_equal(floating[1], expected[0])
    np.testing.assert_array_equal(fixed[1], wrap24(expected[0]))
    assert model.overflows[0] == np.count_nonzero(wrap24(expected) != expected)


BAD = {
    "groups must divide the 2 input": {"groups": 3},
    "output_padding must be below": {"output_padding": 1},
    "stride must be two whole numbers": {"stride": 0},
    "expects 2 input channels, but its source has 3": {"input_shape": (4, 4, 3)},
    r"input_shape must be \(W, H, C\)": {"input_shape": (4, 4)},
    "leaves nothing": {"padding": 9},
}


@pytest.mark.parametrize("words", BAD)
def test_arguments_of_the_process_that_cannot_work_are_refused(words):
    arguments = {"weight": np.ones((2, 2, 2, 1), int), "input_shape": (4, 4, 2), **BAD[words]}
    with pytest.raises(ConfigError, match=words):
        Process(**arguments)
