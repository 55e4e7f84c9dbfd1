"""The integer runner: the same as slow loops, and the same however the samples are cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from brute_force import run as brute_force
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import network_specs, payloads

from lava_mlsnn.errors import ConfigError, DataError, RangeError, UnsupportedLayerError
from lava_mlsnn.runner import IntegerRunner
from netx_export.spec import (
    Conv,
    Dense,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    StockNeuron,
)

SLOW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@given(network_specs(), st.integers(0, 100))
@SLOW
def test_the_runner_is_the_brute_force_network(spec, seed):
    x = payloads(spec, 2, seed)
    traced = IntegerRunner(spec).trace(x)
    for k, sample in enumerate(x):
        timed = np.repeat(sample[..., None], spec.timesteps, -1)
        for name, values in brute_force(spec, timed).items():
            if name in traced.layers:
                assert np.array_equal(traced.layers[name][k], values), (k, name)
    assert np.array_equal(traced.output, traced.layers[spec.output.name])


@given(network_specs(), st.integers(0, 100), st.integers(1, 9))
@SLOW
def test_batches_and_tracing_do_not_change_the_result(spec, seed, batch_size):
    x = payloads(spec, 7, seed)
    runner = IntegerRunner(spec)
    seen = []
    whole = runner.trace(x)
    cut = runner.run(x, batch_size=batch_size, progress=lambda *at: seen.append(at))
    assert np.array_equal(cut.output, whole.output) and not cut.layers
    assert seen[-1] == (7, 7) and len(seen) == math.ceil(7 / batch_size)
    alone = np.concatenate([runner.run(x[i : i + 1]).output for i in range(7)])
    assert np.array_equal(alone, whole.output)
    assert np.array_equal(whole.classes, whole.output[..., -1].argmax(1))
    one = spec.populations[0][1].name
    assert set(runner.trace(x, [one]).layers) == {one}
    assert set(whole.layers) == {p.name for _, p in spec.populations}


def tiny(neuron, weight=1, bias=None, timesteps=1, top=127, exponent=0, arms=1):
    """One input, one neuron."""
    synapses = tuple(Dense(0, np.array([[weight]]), exponent) for _ in range(arms))
    bias = None if bias is None else np.array([bias])
    out = Population("out", (1,), synapses, neuron, bias)
    return NetworkSpec((Input((1,), top, True), out), timesteps)


TOP = 2**23 - 1
OVERFLOWING = {
    # what leaves 24 bits: spec, payload, result with wrap, with saturate
    "state": (tiny(MultiLevel(3, [TOP], [0]), bias=TOP, timesteps=1), 5, 0, 1),
    "readout over time": (tiny(Readout(), bias=2**22, timesteps=2), 0, -(2**23), -(2**23)),
    "relay width": (tiny(Readout(False, 8), weight=2), 100, 200, 200),
    "synapse": (tiny(Readout(False), weight=255, exponent=10), 127, None, None),
    "sum of arms": (tiny(Readout(False), weight=255, exponent=8, arms=2), 127, None, None),
}


@pytest.mark.parametrize("name", OVERFLOWING)
def test_leaving_a_width_raises_or_is_counted(name):
    spec, payload, wrapped, saturated = OVERFLOWING[name]
    x = np.array([[payload], [0]])
    with pytest.raises(RangeError, match=r"layer 1 \(out\): \d+ values left their integer width"):
        IntegerRunner(spec).run(x)
    for mode, wanted in (("wrap", wrapped), ("saturate", saturated)):
        trace = IntegerRunner(spec, on_overflow=mode).run(x)
        assert trace.overflows["out"] >= 1
        assert np.array_equal(
            trace.output[0], brute_force(spec, x[0, :, None].repeat(spec.timesteps, -1))["out"]
        ) or (mode == "saturate")
        if wanted is not None:
            assert trace.output[0, 0, -1] == wanted
    calm = IntegerRunner(spec, on_overflow="wrap").run(np.array([[0]]))
    assert bool(calm.overflows) == (name == "readout over time")


def test_saturation_stops_at_the_end_of_24_bits():
    spec = tiny(MultiLevel(1, [TOP], [0]), bias=-TOP, timesteps=4)
    run = IntegerRunner(spec, on_overflow="saturate").run(np.array([[-127]]))
    assert run.overflows == {"out": 4} and not run.output.any()
    wrapped = IntegerRunner(spec, on_overflow="wrap").run(np.array([[-127]]))
    assert wrapped.overflows["out"] < 4


def test_unknown_names_and_options_are_named():
    spec = tiny(Readout())
    with pytest.raises(ConfigError, match="'clip'"):
        IntegerRunner(spec, on_overflow="clip")
    runner = IntegerRunner(spec)
    with pytest.raises(ConfigError, match=r"'stem'.*there are out"):
        runner.trace(np.zeros((1, 1), int), ["stem"])
    with pytest.raises(ConfigError, match="batch_size"):
        runner.run(np.zeros((1, 1), int), batch_size=0)


def test_neurons_of_lava_dl_are_left_to_lava():
    spec = tiny(StockNeuron("CUBA"))
    with pytest.raises(UnsupportedLayerError, match=r"layer 1 \(out\).*CUBA.*Lava"):
        IntegerRunner(spec)


def test_no_samples_give_an_empty_result():
    spec = NetworkSpec(
        (
            Input((1, 3, 3), 4),
            Population("c", (2, 3, 3), (Conv(0, np.ones((2, 1, 1, 1))),), MultiLevel(4, [2], [0])),
            Population("o", (2, 3, 3), (Identity(1, np.ones(2)),), Readout()),
        ),
        3,
    )
    trace = IntegerRunner(spec).run(np.zeros((0, 1, 3, 3), int))
    assert trace.output.shape == (0, 2, 3, 3, 3) and trace.classes.shape[0] == 0


def test_samples_of_the_wrong_kind_are_refused():
    runner = IntegerRunner(tiny(Readout(), timesteps=2, top=4))
    for x, says in (
        (np.zeros((2, 3), int), r"\(N, 1\)"),
        (np.zeros(1, int), r"\(N, 1\)"),
        (np.array([[5]]), r"-4..4, got 5"),
        (np.array([[0.5]]), "whole numbers"),
        (np.array([[np.nan]]), "whole numbers"),
        (np.array([["a"]]), "whole numbers"),
        (np.zeros((1, 1, 3), int), "T = 2 timesteps, got 3"),
    ):
        with pytest.raises(DataError, match=says):
            runner.run(x)
    assert runner.run(np.array([[2.0]])).output[0, 0].tolist() == [2, 4]
