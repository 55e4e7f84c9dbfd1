"""Laws of the synapse Processes, on drawn inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("lava.magma")

from lava.proc.conv import utils as stock

from lava_mlsnn.proc import Conv, Dense, Identity
from lava_mlsnn.proc.conv.models import PyConvFixed, PyConvFloat
from lava_mlsnn.proc.dense.models import PyDenseFixed, PyDenseFloat
from lava_mlsnn.proc.identity.models import PyIdentityFixed, PyIdentityFloat
from netx_export.spec.widths import wrap24

law = settings(max_examples=60, deadline=None)


@law
@given(data=st.data())
def test_conv_gives_the_integers_of_stock_lava(drive_synapse, data):
    draw = data.draw
    groups, c_in, c_out = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pairs = {
        "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 2))),
        "padding": draw(st.tuples(st.integers(0, 2), st.integers(0, 1))),
        "dilation": draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
    }
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.integers(-20, 100, (3, 7, 6, c_in * groups))
    weight = rng.integers(-128, 128, (c_out * groups, *kernel, c_in))

    def make():
        return Conv(
            weight=weight, input_shape=x.shape[1:], groups=groups, num_message_bits=8, **pairs
        )

    fixed, model = drive_synapse(make(), PyConvFixed, x)
    floating, _ = drive_synapse(make(), PyConvFloat, x)
    args = (np.array(kernel), *(np.array(pairs[k]) for k in ("stride", "padding", "dilation")))
    for t in range(2):
        np.testing.assert_array_equal(fixed[t + 1], stock.conv(x[t], weight, *args, groups))
    assert not fixed[0].any()  # one timestep of latency
    np.testing.assert_array_equal(fixed, floating)
    assert model.overflows[0] == 0


@law
@given(st.integers(0, 62), st.integers(-8, 6), st.integers(0, 99))
def test_dense_delays_and_shifts(drive_synapse, delay, exponent, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 16, (70, 5))
    weights = rng.integers(-128, 128, (3, 5))
    dense = Dense(weights=weights, weight_exp=exponent, num_message_bits=8, delay=delay)
    a, _ = drive_synapse(dense, PyDenseFixed, x)
    late = delay + 1
    assert not a[:late].any()
    expected = np.floor((x @ weights.T) * 2.0**exponent)
    np.testing.assert_array_equal(a[late:], expected[:-late])


@law
@given(st.integers(0, 99), st.integers(0, 3))
def test_identity_is_a_gain_per_channel(drive_synapse, seed, delay):
    rng = np.random.default_rng(seed)
    x, weight = rng.integers(0, 9, (6, 4, 3, 5)), rng.integers(0, 256, 5)

    def make():
        return Identity(shape=x.shape[1:], weight=weight, num_message_bits=8, delay=delay)

    fixed, _ = drive_synapse(make(), PyIdentityFixed, x)
    floating, _ = drive_synapse(make(), PyIdentityFloat, x)
    np.testing.assert_array_equal(fixed[delay + 1 :], (x * weight)[: -delay - 1])
    np.testing.assert_array_equal(fixed, floating)


def test_fractional_weights_work_in_floating_point(drive_synapse):
    dense = Dense(weights=[[0.5, -0.25]], weight_exp=1, num_message_bits=8)
    a, _ = drive_synapse(dense, PyDenseFloat, [[1, 3], [0, 0]])
    assert a[1][0] == -0.5


@pytest.mark.parametrize("payload, fits", [(32896, True), (32897, False), (-(1 << 23), False)])
def test_an_activation_beyond_24_bits_wraps_and_is_counted(drive_synapse, payload, fits):
    dense = Dense(weights=[[255]], num_message_bits=24)
    a, model = drive_synapse(dense, PyDenseFixed, [[payload], [0]])
    assert a[1][0] == wrap24(np.array(255 * payload))
    assert model.overflows[0] == (0 if fits else 1)


def test_sums_stay_exact_beyond_float32(drive_synapse):
    dense = Dense(weights=np.full((1, 9), 255), weight_exp=-8, num_message_bits=24)
    payload = np.full(9, (1 << 20) + 1)
    a, model = drive_synapse(dense, PyDenseFixed, [payload, payload])
    total = 9 * 255 * ((1 << 20) + 1)
    assert a[1][0] == wrap24(np.array(total >> 8))
    assert model.overflows[0] == 2


@pytest.mark.parametrize("bits, expected", [(0, 3), (8, 15)])
def test_zero_message_bits_make_the_input_binary_as_in_stock_lava(drive_synapse, bits, expected):
    dense = Dense(weights=[[3]], num_message_bits=bits)
    a, _ = drive_synapse(dense, PyDenseFixed, [[5], [0]])
    assert a[1][0] == expected
