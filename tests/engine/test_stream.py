"""One timestep at a time: every layer at its latency, with its states and resets."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import network_specs, payloads

from lava_mlsnn.engine import StreamEngine
from lava_mlsnn.runner import IntegerRunner
from netx_export.spec import Conv, Dense, Input, MultiLevel, NetworkSpec, Population, Readout
from netx_export.spec.ranges import worst_case
from netx_export.spec.timing import depths, latency

SLOW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def streamed(spec, x, offset=0, floating=False):
    """Payloads of every population over all timesteps, the filling and emptying included."""
    timed = np.repeat(x, spec.timesteps, axis=0)
    engine = StreamEngine(spec, floating, offset)
    steps = len(timed) + offset + latency(spec)
    sent = {index: [] for index, _ in spec.populations}
    for t in range(steps):
        engine.advance()
        for index, found in sent.items():
            found.append(engine.sent(index).astype(float))
        place = t - offset
        engine.receive(timed[place] if 0 <= place < len(timed) else np.zeros_like(timed[0]))
    return {index: np.stack(found) for index, found in sent.items()}, engine


@given(network_specs(), st.integers(0, 100), st.integers(0, 3))
@SLOW
def test_layers_send_what_the_runner_says_after_their_depth(spec, seed, offset):
    x = payloads(spec, 3, seed)
    sent, engine = streamed(spec, x, offset)
    traced = IntegerRunner(spec).trace(x).layers
    depth = depths(spec)
    for index, layer in spec.populations:
        first = offset + depth[index]
        part = sent[index][first : first + 3 * spec.timesteps]
        part = part.reshape(3, spec.timesteps, *layer.shape)
        np.testing.assert_array_equal(np.moveaxis(part, 1, -1), traced[layer.name], layer.name)
        assert not engine.overflows[index].any()


@given(network_specs(), st.integers(0, 100))
@SLOW
def test_floating_gives_the_same_numbers_where_nothing_is_rounded_down(spec, seed):
    if any(s.weight_exp < 0 for _, p in spec.populations for s in p.synapses):
        return  # fixed point rounds down there
    x = payloads(spec, 2, seed)
    fixed, _ = streamed(spec, x)
    floating, _ = streamed(spec, x, floating=True)
    for index in fixed:
        np.testing.assert_array_equal(fixed[index], floating[index])


@given(network_specs(timesteps=1, residual=True), st.integers(0, 100))
@SLOW
def test_a_payload_outside_its_range_is_computed_as_plain_integers_do(spec, seed):
    """From the first such payload on; before it nothing may have changed."""
    rng = np.random.default_rng(seed)
    x = payloads(spec, 4, seed)
    wild = x.copy()
    wild[2] = rng.integers(-(1 << 20), 1 << 20, spec.input.shape)
    if spec.input.payload == (0, 1):
        wild[2] = x[2]  # one bit has no outside
    sent, _ = streamed(spec, wild)
    free = NetworkSpec(
        (Input(spec.input.shape, (1 << 23) - 1, True), *spec.layers[1:]), spec.timesteps
    )
    expected = IntegerRunner(free, on_overflow="wrap", kind="reference").trace(wild)
    depth = depths(spec)
    for index, layer in spec.populations:
        part = sent[index][depth[index] : depth[index] + 4]
        np.testing.assert_array_equal(part, expected.layers[layer.name][..., 0])


def small(timesteps):
    conv = Conv(0, np.array([[[[3]]], [[[-2]]]]))
    neuron = MultiLevel(2, np.array([4, 5]), np.array([2, 0]))
    layer = Population("layer", (2, 2, 1), (conv,), neuron, np.array([1, 6]))
    out = Population("out", (1, 2, 1), (Conv(1, np.array([[[[1]], [[1]]]])),), Readout())
    return NetworkSpec((Input((1, 2, 1), 4), layer, out), timesteps)


def test_states_are_those_of_the_neuron_at_every_timestep():
    for timesteps in (1, 3):
        spec = small(timesteps)
        engine = StreamEngine(spec)
        v0 = np.array([2, 0])[:, None, None]
        np.testing.assert_array_equal(engine.state(1), np.broadcast_to(v0, (2, 2, 1)))
        v = np.broadcast_to(v0, (2, 2, 1))
        w = np.array([3, -2])[:, None, None]
        last = np.zeros((1, 2, 1), int)
        rng = np.random.default_rng(0)
        total = np.zeros((1, 2, 1), int)
        z = np.zeros((2, 2, 1), int)
        for t in range(1, 12):
            engine.advance()
            if (t - 1 - 2) % timesteps == 0:
                total = np.zeros((1, 2, 1), int)
            total = total + z.sum(0, keepdims=True)
            if (t - 1 - 1) % timesteps == 0:
                v = np.broadcast_to(v0, (2, 2, 1))
            h = v + w * last + np.array([1, 6])[:, None, None]
            z = (h // np.array([4, 5])[:, None, None]).clip(0, 2)
            v = h - np.array([4, 5])[:, None, None] * z
            np.testing.assert_array_equal(engine.state(1), v)
            np.testing.assert_array_equal(engine.sent(1), z)
            np.testing.assert_array_equal(engine.state(2), total)
            last = rng.integers(0, 5, (1, 2, 1))
            engine.receive(last)


def test_a_state_can_be_put_in_from_outside():
    spec = small(3)
    engine = StreamEngine(spec)
    engine.advance()
    engine.receive(np.zeros((1, 2, 1), int))
    engine.advance()  # the first timestep of the sample in layer 1
    engine.receive(np.zeros((1, 2, 1), int))
    engine.set_state(1, np.full((2, 2, 1), 7))
    engine.advance()
    np.testing.assert_array_equal(engine.sent(1)[:, 0, 0], [2, 2])  # (7+1)//4, (7+6)//5
    np.testing.assert_array_equal(engine.state(1)[:, 0, 0], [0, 3])


def test_a_neuron_that_no_legal_payload_makes_fire_may_fire_once_one_left_its_range():
    """What comes behind it was a byte by the file's ranges and is none any more."""
    neuron = Population("neuron", (1,), (Dense(0, np.array([[9]])),), MultiLevel(1, [50], [0]))
    out = Population("out", (1,), (Dense(1, np.array([[200]])),), Readout(), np.array([100]))
    spec = NetworkSpec((Input((1,), 4), neuron, out))
    assert worst_case(spec)[1].payload == (100, 100)
    x = np.array([[4], [1000], [4]])
    sent, _ = streamed(spec, x)
    np.testing.assert_array_equal(sent[2][2:5, 0], [100, 300, 100])
