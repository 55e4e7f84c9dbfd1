"""The worst case over T timesteps is that of following every timestep, at any T."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netx_export import Dense, Input, MultiLevel, NetworkSpec, Population, Readout, worst_case
from netx_export.spec.intervals import FAR
from netx_export.spec.neurons import state_bounds
from netx_export.spec.neurons.state_bounds import TURNS


def one_by_one(neuron, low_a, high_a, timesteps):
    """State hull and payload bounds by the recurrence of the module, timestep by timestep."""
    theta, levels = neuron.vth.astype(np.int64), neuron.levels
    low = high = neuron.v0.astype(np.int64)
    h, z = [], []
    for _ in range(timesteps):
        h_low, h_high = low + low_a, high + high_a
        k_low, k_high = (x // theta for x in (h_low, h_high))
        k_low, k_high = k_low.clip(0, levels), k_high.clip(0, levels)
        h.append((h_low, h_high))
        z.append((k_low, k_high))
        rest_low, rest_high = h_low - theta * k_low, h_high - theta * k_high
        one = k_low == k_high
        low = np.where(one, rest_low, np.minimum(rest_low, 0))
        high = np.where(one, rest_high, np.maximum(rest_high, theta - 1))
    state = int(min(x[0].min() for x in h)), int(max(x[1].max() for x in h))
    return state, np.min([x[0] for x in z], axis=0), np.max([x[1] for x in z], axis=0)


@st.composite
def neurons_and_inputs(draw):
    """Thresholds, states and inputs whose sizes have nothing to do with each other."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels, levels = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 4, 15]))
    top = draw(st.sampled_from([1, 3, 12, 200, 5000]))
    theta = rng.integers(1, top + 1, channels)
    v0 = rng.integers(-3 * top, 3 * top + 1, channels)
    far = draw(st.sampled_from([2, top, 4 * top * levels]))
    low = rng.integers(-far, far + 1, channels)
    width = rng.integers(0, draw(st.sampled_from([0, 1, top, 5 * top * levels])) + 1, channels)
    return MultiLevel(levels, theta, v0), low, low + width


@settings(max_examples=300, deadline=None)
@given(drawn=neurons_and_inputs(), timesteps=st.sampled_from([1, 2, 3, 7, 40, TURNS, 700]))
def test_runs_of_timesteps_are_the_timesteps(drawn, timesteps):
    neuron, low, high = drawn
    state, (z_low, z_high) = neuron.bounds((low, high), timesteps)
    right, right_low, right_high = one_by_one(neuron, low, high, timesteps)
    if timesteps <= TURNS:
        assert state == right
        np.testing.assert_array_equal(z_low, right_low)
        np.testing.assert_array_equal(z_high, right_high)
    else:  # never narrower, and wider by less than a threshold
        wide = int(neuron.vth.max())
        assert right[0] - wide < state[0] <= right[0] and right[1] <= state[1] < right[1] + wide
        assert np.all(z_low <= right_low) and np.all(z_high >= right_high)


@settings(max_examples=100, deadline=None)
@given(drawn=neurons_and_inputs(), turns=st.integers(0, 3), timesteps=st.integers(1, 40))
def test_what_is_widened_early_holds_what_is_followed(drawn, turns, timesteps):
    neuron, low, high = drawn
    right, right_low, right_high = one_by_one(neuron, low, high, timesteps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_bounds, "TURNS", turns)
        state, (z_low, z_high) = neuron.bounds((low, high), timesteps)
    assert state[0] <= right[0] and right[1] <= state[1]
    assert (z_low <= right_low).all() and (right_high <= z_high).all()


def network(timesteps, vth, bias, levels=4):
    rng = np.random.default_rng(0)
    channels = len(vth)
    return NetworkSpec(
        (
            Input((8,), 15),
            Population(
                "a",
                (channels,),
                (Dense(0, rng.integers(-2, 3, (channels, 8))),),
                MultiLevel(levels, vth, vth * 0),
                bias,
            ),
            Population("out", (1,), (Dense(1, np.ones((1, channels), int)),), Readout()),
        ),
        timesteps,
    )


def test_the_most_timesteps_take_no_longer_than_a_moment():
    rng = np.random.default_rng(1)
    vth, bias = rng.integers(1, 1 << 23, 2048), rng.integers(-3, 4, 2048)
    spec = network(1 << 16, vth, bias)
    began = time.perf_counter()
    worst_case(spec)
    assert time.perf_counter() - began < 1.0


def test_a_state_that_falls_for_all_timesteps_is_followed_to_the_end():
    found = worst_case(network(1 << 16, np.array([100]), np.array([-300])))[0]
    # every input is below 0, so that the sum of the last timestep is the lowest state
    low = found.accumulator[0] - 300
    assert found.state == (low * (1 << 16), found.accumulator[1] - 300)
    assert not found.fits and found.payload == (0, 0)


def test_sums_beyond_64_bits_are_refused_and_not_wrapped():
    weight = np.full((1, 1 << 12), 254)
    layers = (
        Input((1 << 12,), (1 << 23) - 1),
        Population("wide", (1,), (Dense(0, weight, 16),) * 40, Readout()),
    )
    found = worst_case(NetworkSpec(layers))[0]
    assert not found.fits and found.accumulator == (0, FAR)
