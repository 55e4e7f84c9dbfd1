"""The worst case is never exceeded, and is reached where inputs are free."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import network_specs, payloads

from lava_mlsnn.errors import RangeError
from lava_mlsnn.runner import IntegerRunner
from netx_export import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    check_ranges,
    worst_case,
)
from netx_export.spec import intervals
from netx_export.spec.neurons.step import fixed_step
from netx_export.spec.ranges import payload_bounds, reach, signed_bits


def one_neuron(weight, neuron, low_high=(0, 3), timesteps=1, bias=0, weight_exp=0):
    low, high = low_high
    layers = (
        Input((len(weight),), high, low < 0),
        Population("n", (1,), (Dense(0, [weight], weight_exp),), neuron, [bias]),
    )
    return NetworkSpec(layers, timesteps)


@settings(max_examples=60, deadline=None)
@given(spec=network_specs(), seed=st.integers(0, 999))
def test_no_run_leaves_the_worst_case(spec, seed):
    trace = IntegerRunner(spec).trace(payloads(spec, 8, seed))
    for found in worst_case(spec):
        values = trace.layers[found.name]
        assert found.payload[0] <= values.min() and values.max() <= found.payload[1]


@settings(max_examples=150, deadline=None)
@given(
    weight=st.lists(st.integers(-6, 6), min_size=1, max_size=2).filter(any),
    vth=st.integers(1, 12),
    v0=st.integers(-20, 20),
    bias=st.integers(-9, 9),
    levels=st.integers(1, 3),
    timesteps=st.integers(1, 4),
)
def test_state_and_payload_against_every_input_there_is(weight, vth, v0, bias, levels, timesteps):
    # taken as if every whole number between the ends could arrive: then the hull is exact
    most = sum(map(abs, weight))
    steps = range(-most, most + 1)
    neuron = MultiLevel(levels, [vth], [v0])
    spec = one_neuron(weight, neuron, (-1, 1), timesteps, bias)
    found = worst_case(spec)[0]
    states, seen_h, seen_z = {v0}, set(), set()
    for _ in range(timesteps):
        following = set()
        for v, a in itertools.product(states, steps):
            h = np.array([v + a + bias])
            z, new, _ = fixed_step(h * 0, h, np.array([vth]), levels)
            seen_h.add(int(h[0]))
            seen_z.add(int(z[0]))
            following.add(int(new[0]))
        states = following
    assert found.accumulator == (steps[0], steps[-1])
    assert found.state == (min(seen_h), max(seen_h))
    assert found.payload == (min(seen_z), max(seen_z))


@settings(max_examples=60, deadline=None)
@given(
    weight=st.lists(st.integers(-20, 20), min_size=2, max_size=3),
    weight_exp=st.integers(-3, 2),
    top=st.integers(1, 3),
    signed=st.booleans(),
)
def test_the_sum_of_one_synapse_is_reached(weight, weight_exp, top, signed):
    low = -top if signed else 0
    spec = one_neuron(weight, Readout(), (low, top), 1, 0, weight_exp)
    inputs = itertools.product(range(low, top + 1), repeat=len(weight))
    sums = [int(np.floor(np.dot(weight, x) * 2.0**weight_exp)) for x in inputs]
    assert worst_case(spec)[0].accumulator == (min(sums), max(sums))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_counts_its_own_group_only(groups):
    rng = np.random.default_rng(groups)
    weight = rng.integers(-9, 9, (4, 2 // groups, 3, 2))
    layers = (
        Input((2, 5, 4), 3),
        Population("c", (4, 3, 3), (Conv(0, weight, groups=groups),), Readout()),
    )
    rows = weight.reshape(4, -1)
    low, high = np.minimum(rows, 0).sum(1).min() * 3, np.maximum(rows, 0).sum(1).max() * 3
    assert worst_case(NetworkSpec(layers))[0].accumulator == (low, high)


def test_a_readout_sends_what_can_arrive_not_what_fits_its_message():
    layers = (
        Input((2, 1, 1), 5),
        Population(
            "relay", (2, 1, 1), (Identity(0, [1, 3]), Identity(0, [1, 1])), Readout(False, 8)
        ),
        Flatten(1, (2,)),
        Population("out", (1,), (Dense(2, [[1, -1]]),), Readout()),
    )
    relay, out = worst_case(NetworkSpec(layers, timesteps=4))
    assert relay.payload == (0, 20)
    assert out.state == (-80, 40)  # four timesteps of -20..10
    assert out.fits and out.bits == 8


def test_a_readout_that_leaves_its_message_is_refused_and_told_the_width():
    layers = (Input((1,), 100), Population("out", (1,), (Dense(0, [[2]]),), Readout(False, 8)))
    with pytest.raises(RangeError, match=r"layer 1 \(out\).*num_message_bits = 8.*0\.\.200.*16"):
        check_ranges(NetworkSpec(layers))


def test_an_accumulator_beyond_24_bits_is_refused_by_name():
    layers = (
        Input((400,), 127),
        Population("big", (1,), (Dense(0, np.full((1, 400), 255)),), Readout()),
    )
    with pytest.raises(RangeError, match=r"layer 1 \(big\): .*12954000.*needs 25.*fewer levels"):
        check_ranges(NetworkSpec(layers))


def test_a_membrane_that_grows_over_a_sample_is_refused():
    spec = one_neuron([255], MultiLevel(1, [1], [0]), (0, 127), 300)
    assert worst_case(one_neuron([255], MultiLevel(1, [1], [0]), (0, 127), 2))[0].fits
    with pytest.raises(RangeError, match="its state must fit 24 bits"):
        check_ranges(spec)


def test_a_layer_after_one_that_does_not_fit_is_judged_as_if_that_were_mended():
    layers = (
        Input((400,), 127),
        Population("big", (1,), (Dense(0, np.full((1, 400), 255)),), Readout(False, 16)),
        Population("out", (1,), (Dense(1, [[1]]),), Readout()),
    )
    big, out = worst_case(NetworkSpec(layers))
    assert not big.fits and out.fits and out.accumulator == (0, 2**15 - 1)


def test_sums_in_the_middle_may_not_leave_24_bits_either():
    # 400 * 127 * 255 leaves 24 bits, although a quarter of it does not
    weight = np.full((1, 400), 255)
    layers = (Input((400,), 127), Population("n", (1,), (Dense(0, weight, -2),), Readout()))
    assert worst_case(NetworkSpec(layers))[0].accumulator == (0, 400 * 127 * 255 // 4)
    with pytest.raises(RangeError, match="synapse 0"):
        check_ranges(NetworkSpec(layers))


WHOLE = st.integers(-(1 << 40), 1 << 40) | st.integers(0, 41).map(lambda b: 1 << b)


@settings(max_examples=100, deadline=None)
@given(ends=st.lists(WHOLE | WHOLE.map(lambda n: -n) | WHOLE.map(lambda n: n - 1), min_size=2))
def test_the_width_is_the_smallest_that_holds_both_ends(ends):
    low, high = min(ends), max(ends)
    bits = signed_bits((low, high))
    assert -(1 << bits - 1) <= low <= high < 1 << bits - 1
    assert bits == 1 or not -(1 << bits - 2) <= low <= high < 1 << bits - 2
    assert signed_bits((0, 0), (low, high)) == bits


@settings(max_examples=30, deadline=None)
@given(*[st.integers(1, 7)] * 3, st.integers(1, 60), st.sampled_from([9, 1 << 22]), st.integers(0))
def test_bounds_are_the_same_in_any_number_of_parts(groups, rows, columns, chunk, top, seed):
    """Also where float32 would not hold them."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(-9, 10, (groups, rows, columns))
    ends = np.sort(rng.integers(-top, top, (2, groups, columns)), axis=0)
    corners = np.stack([weight * end[:, None] for end in ends])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "CHUNK", chunk)
        low, high = intervals.matrix_bounds(weight, *ends)
    assert np.array_equal(low, corners.min(0).sum(2).ravel())
    assert np.array_equal(high, corners.max(0).sum(2).ravel())


@pytest.mark.parametrize("bias", [7, -30])
def test_the_reach_is_the_largest_of_sums_and_first_state(bias):
    made = one_neuron([3, -2], MultiLevel(2, [9], [5]), bias=bias)
    sums = [3 * a - 2 * b for a in range(4) for b in range(4)]
    wanted = max(*map(abs, sums), *(abs(n + bias + 5) for n in sums))
    sources = [payload_bounds(made.layers[0], [])]
    assert reach(made.layers[1], sources).tolist() == [wanted]


@pytest.mark.parametrize("timesteps", [1, 2, 3])
@pytest.mark.parametrize("bias", [0, 9, -9])
def test_a_readout_adds_up_every_timestep(timesteps, bias):
    last = worst_case(one_neuron([1, -2], Readout(), timesteps=timesteps, bias=bias))[-1]
    low, high = bias - 6, bias + 3
    wanted = min(low, low * timesteps), max(high, high * timesteps)
    assert last.state == last.payload == wanted


@pytest.mark.parametrize(("weight", "last"), [(1, 0), (-1, -1)])
def test_what_exactly_fills_24_bits_fits(weight, last):
    top = (1 << 23) - 1
    check_ranges(one_neuron([weight], Readout(False, 24), (0, top), bias=last))
    with pytest.raises(RangeError, match="its state must fit 24 bits"):
        check_ranges(one_neuron([weight], Readout(False, 24), (0, top), bias=last + weight))
