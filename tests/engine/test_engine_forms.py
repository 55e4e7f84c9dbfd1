"""Every form of a layer gives the integers of the plain one, and each is really used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import network_specs, payloads

from lava_mlsnn.engine import Engine, probe, sums
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
from netx_export.spec.ranges import worst_case

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


@st.composite
def trained_like(draw):
    """A residual network as the exporter makes it: unit shortcuts, one exponent, T = 1.

    Biases are set so that many sums lie exactly on a threshold or one below it.
    """
    levels = draw(st.sampled_from([1, 2, 4, 15, 127, 255]))
    top = draw(st.sampled_from([1, 4, 127, 255]))
    exponent = draw(st.sampled_from([0, 0, 1, 3]))
    even = draw(st.booleans())
    half = draw(st.booleans())
    size = (draw(st.integers(2, 6)), draw(st.integers(2, 6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    c, d = int(rng.choice([2, 3, 16, 33])), int(rng.choice([2, 16, 24]))

    def weights(*shape):
        w = rng.integers(-127, 128, shape)
        return 2 * w if even else w

    def neuron(channels, fan_in, source):
        reach = np.sqrt(fan_in) * 100 * (source + 1) * 2.0**exponent / levels
        vth = np.maximum(2, rng.uniform(0.2, 1.5, channels) * reach).astype(int)
        vth = np.minimum(vth, (1 << 20) // (levels + 1))
        m = np.minimum(vth, 255)  # a weight that a unit shortcut can have
        return MultiLevel(levels, m, m // 2 if half else m * 0)

    def population(name, source, channels, kernel, stride=1, extra=(), fan_source=None):
        shape = layers[source].shape
        w = weights(channels, shape[0], kernel, kernel)
        conv = Conv(source, w, exponent, (stride,) * 2, (kernel // 2,) * 2)
        n = neuron(channels, w[0].size, levels if source else top)
        layers.append(
            Population(
                name, conv.output_shape(shape), (conv, *extra), n, rng.integers(-99, 99, channels)
            )
        )
        return len(layers) - 1

    layers = [Input((c, *size), top)]
    stem = population("stem", 0, d, 3)
    first = population("conv1", stem, d, 3)
    second = population("conv2", first, d, 3)
    unit = Identity(stem, layers[second].neuron.vth)
    arms = (*layers[second].synapses, unit)
    layers[second] = Population(
        "conv2",
        layers[second].shape,
        arms[::-1] if draw(st.booleans()) else arms,
        layers[second].neuron,
        layers[second].bias,
    )
    down = population("down1", second, d + 8, 3, stride=2)
    last = population("down2", down, d + 8, 3)
    project = Conv(second, weights(d + 8, d, 1, 1), exponent, (2, 2))
    layers[last] = Population(
        "down2", layers[last].shape, (*layers[last].synapses, project), layers[last].neuron
    )
    flat = int(np.prod(layers[last].shape))
    layers.append(Flatten(last, (flat,)))
    hidden = MultiLevel(levels, np.array([min(levels * 40, 2000)]), np.array([0]))
    layers.append(Population("dense", (20,), (Dense(len(layers) - 1, weights(20, flat)),), hidden))
    layers.append(Population("out", (10,), (Dense(len(layers) - 1, weights(10, 20)),), Readout()))
    spec = NetworkSpec(tuple(layers))
    assume(all(r.fits for r in worst_case(spec)))
    return spec


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
