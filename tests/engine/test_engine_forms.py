"""Every form of a layer gives the integers of the plain one, and each is really used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import network_specs, payloads, trained_like

from lava_mlsnn.engine import Engine, StreamEngine, probe, sums
from lava_mlsnn.engine.fused import Fused
from lava_mlsnn.engine.general import General
from lava_mlsnn.engine.reference import Reference
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.runner import IntegerRunner
from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
has_8_bit = pytest.mark.skipif(not probe.backend(), reason="no exact 8-bit operator here")


def everything(spec, x, kind, **options):
    """Output and payloads of every layer."""
    runner = IntegerRunner(spec, kind=kind, **options)
    trace = runner.trace(x)
    return {**trace.layers, "the output": trace.output}, trace.overflows, runner._engine.layers


def assert_forms_agree(spec, x):
    """Return the forms that ``auto`` chose."""
    expected, _, forms = everything(spec, x, "reference")
    assert all(type(f) is Reference for f in forms.values())
    for kind in ("general", "auto"):
        found, overflows, forms = everything(spec, x, kind)
        assert overflows == {}
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=f"{kind}, {name}")
    return forms


@given(network_specs(), st.integers(0, 100))
@SLOW
def test_the_forms_agree_on_drawn_networks(spec, seed):
    assert_forms_agree(spec, payloads(spec, 3, seed))


@given(network_specs(timesteps=3), st.integers(0, 100))
@SLOW
def test_a_sample_that_is_held_gives_the_integers_of_one_that_is_sent_anew(spec, seed):
    """What it makes of the first layers' sums is computed once."""
    x = payloads(spec, 3, seed)
    sent = np.repeat(x[..., None], spec.timesteps, -1)
    expected, _, _ = everything(spec, sent, "reference")
    for kind in ("reference", "general", "auto"):
        for samples in (x, sent):
            found, overflows, _ = everything(spec, samples, kind)
            assert overflows == {}
            for name, values in expected.items():
                np.testing.assert_array_equal(found[name], values, err_msg=f"{kind}, {name}")


def counted(runner, index=1):
    """Batches that a layer's first synapse sums from now on."""
    seen, form = [], runner._engine.layers[index]
    add = form.sums[0]
    form.sums[0] = lambda x, total: seen.append(len(x)) or add(x, total)
    return seen


def test_the_sums_of_a_held_sample_are_computed_once():
    runner = IntegerRunner(one_layer(3, 20, timesteps=4))
    seen, x = counted(runner), payloads(runner.spec, 2)
    held = runner.run(x).output
    np.testing.assert_array_equal(runner.run(np.repeat(x[..., None], 4, -1)).output, held)
    assert seen == [2, 2, 2, 2, 2]


def test_so_are_those_behind_a_relay_and_a_flatten():
    ones = np.ones((2, 1, 1, 1), int)
    dense = Dense(2, np.arange(36).reshape(2, 18) % 7 - 3)
    layers = (
        Input((2, 3, 3), 4),
        Population("relay", (2, 3, 3), (Conv(0, ones, groups=2),), Readout(False)),
        Flatten(1, (18,)),
        Population("dense", (2,), (dense,), MultiLevel(4, np.full(2, 9), np.zeros(2, int))),
        Population("out", (1,), (Dense(3, np.ones((1, 2), int)),), Readout()),
    )
    runner = IntegerRunner(NetworkSpec(layers, 4))
    expected = IntegerRunner(runner.spec, kind="reference")
    seen, x = counted(runner, 3), payloads(runner.spec, 2)
    np.testing.assert_array_equal(runner.run(x).output, expected.run(x).output)
    assert seen == [2]


@given(network_specs(timesteps=4), st.integers(0, 100), st.data())
@SLOW
def test_timesteps_in_which_nothing_arrives_give_the_integers_of_all_others(spec, seed, data):
    """Bias and membrane go on: of all samples at once, of one alone, from the first or the last."""
    x = np.repeat(payloads(spec, 2, seed)[..., None], 4, -1)
    for sample in range(2):
        for t in data.draw(st.sets(st.integers(0, 3), min_size=1), label=f"silent in {sample}"):
            x[sample, ..., t] = 0
    assert_forms_agree(spec, x)


def test_where_nothing_arrives_nothing_is_summed():
    runner = IntegerRunner(one_layer(3, 20, bias=7, timesteps=4))
    x = np.repeat(np.maximum(payloads(runner.spec, 2), 1)[..., None], 4, -1)
    x[..., 1:3] = 0
    expected = IntegerRunner(runner.spec, kind="reference").trace(x)
    seen = counted(runner)
    found = runner.trace(x)
    assert seen == [2, 2]
    np.testing.assert_array_equal(found.layers["layer"], expected.layers["layer"])
    assert found.layers["layer"][..., 1:3].any(), "the bias alone makes them fire"


@pytest.mark.skipif(probe.backend() != "eager", reason="other operators pack at once")
def test_weights_are_packed_only_for_what_runs():
    """One sample and several are two packings; neither is left over from the trial."""
    spec = one_layer(3, 20)
    runner, stream = IntegerRunner(spec), StreamEngine(spec)
    x = payloads(spec, 4)
    cache = runner._engine.layers[1]._fire.packed.cache_info
    held = [cache().currsize]
    for count in (4, 2, 1):
        runner.run(x[:count])
        held.append(cache().currsize)
    assert held == [0, 1, 1, 2]
    stream.advance()
    assert stream._forms[1]._fire.packed.cache_info().misses == 1


@has_8_bit
@given(trained_like(), st.integers(0, 100))
@SLOW
def test_the_forms_agree_on_networks_as_they_are_exported(spec, seed):
    forms = assert_forms_agree(spec, payloads(spec, 3, seed))
    names = {form.name for form in forms.values() if type(form) is Fused}
    assert {"stem", "conv1", "down1", "dense"} <= names, names
    assert "conv2" in names, "a unit shortcut belongs into the 8-bit convolution"
    assert "down2" in names, "a strided 1 x 1 belongs into the 8-bit convolution"


@given(network_specs(timesteps=1), st.integers(0, 100))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_machine_without_exact_8_bit_operators_gives_the_same(spec, seed):
    x = payloads(spec, 2, seed)
    expected, _, _ = everything(spec, x, "reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lava_mlsnn.engine.fused.backend", lambda: "")
        patch.setattr(sums, "sums_exact", lambda: False)
        found, _, forms = everything(spec, x, "auto")
    assert not any(type(form) is Fused for form in forms.values())
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def one_layer(
    weight, vth, *, levels=4, top=4, bias=0, exponent=0, extra=(), timesteps=1, c=2, padding=1
):
    """An image of 3 x 3 into one population, and a readout."""
    conv = Conv(0, np.full((c, c, 3, 3), weight), exponent, padding=(padding, padding))
    side = 1 + 2 * padding
    neuron = MultiLevel(levels, np.full(c, vth), np.zeros(c, int))
    layer = Population("layer", (c, side, side), (conv, *extra), neuron, np.full(c, bias))
    out = Population("out", (1,), (Dense(2, np.ones((1, side * side * c), int)),), Readout())
    return NetworkSpec(
        (Input((c, 3, 3), top), layer, Flatten(1, (side * side * c,)), out), timesteps
    )


NOT_FUSED = {
    "T > 1 keeps a state": one_layer(3, 20, timesteps=2),
    "payload beyond a byte": one_layer(3, 20, top=256),
    "more levels than a byte": one_layer(3, 20, levels=256),
    "odd weight beyond a signed byte": one_layer(255, 900),
    "exponent below 0 rounds before the sum": one_layer(3, 20, exponent=-1),
    "threshold too fine for float32": one_layer(3, 1 << 19),
    "bias too large for float32": one_layer(3, 20, bias=1 << 22),
    "shortcut that is no unit": one_layer(3, 20, extra=(Identity(0, np.array([20, 19])),)),
    "one input channel": one_layer(3, 20, c=1),
    "windows that are all padding": one_layer(3, 20, padding=3),
    "two shortcuts": one_layer(3, 20, extra=(Identity(0, np.array([20, 20])),) * 2),
    "two 3 x 3": one_layer(3, 20, extra=(Conv(0, np.ones((2, 2, 3, 3), int), padding=(1, 1)),)),
}


@has_8_bit
@pytest.mark.parametrize("why", NOT_FUSED)
def test_what_the_8_bit_neuron_cannot_do_exactly_is_done_otherwise(why):
    spec = NOT_FUSED[why]
    forms = assert_forms_agree(spec, payloads(spec, 4))
    assert type(forms[1]) is General, why
    assert type(assert_forms_agree(one_layer(3, 20), payloads(one_layer(3, 20), 4))[1]) is Fused


def test_layers_that_can_leave_24_bits_and_what_their_sums_reach_take_the_plain_form():
    """A relay that wraps may send what no range says; neurons behind it send 0..N again."""
    relay = Population("relay", (1,), (Dense(0, np.array([[255]]), 10),), Readout(False, 8))
    neuron = Population(
        "neuron", (1,), (Dense(1, np.array([[1]])),), MultiLevel(4, np.array([9]), np.array([0]))
    )
    out = Population("out", (1,), (Dense(2, np.array([[1]])),), Readout())
    spec = NetworkSpec((Input((1,), 127, True), relay, neuron, out))
    x = np.arange(-127, 128)[:, None]
    expected, counts, _ = everything(spec, x, "reference", on_overflow="wrap")
    found, overflows, forms = everything(spec, x, "auto", on_overflow="wrap")
    assert [type(forms[i]) for i in (1, 2, 3)] == [Reference, Reference, General]
    assert overflows == counts and counts["relay"] > 0
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_an_unknown_kind_is_refused():
    spec = one_layer(3, 20)
    with pytest.raises(ConfigError, match="kind must be one of auto, general, reference"):
        Engine(spec, "fast")
    with pytest.raises(ConfigError, match="has no kind 'floating'"):
        IntegerRunner(spec, kind="floating")
    with pytest.raises(ConfigError, match="threads must be a whole number"):
        IntegerRunner(spec, threads=-1)
