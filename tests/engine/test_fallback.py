"""An operator that fails, differs or is gone costs speed, never the run; it is said once."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import network_specs, payloads

from lava_mlsnn.engine import Engine, StreamEngine, fused, int8, probe, sums, trial
from lava_mlsnn.engine.fused import Fused
from lava_mlsnn.engine.general import General
from lava_mlsnn.engine.payload import from_array, laid_out
from lava_mlsnn.engine.reference import Reference
from netx_export.spec import Conv, Identity, Input, MultiLevel, NetworkSpec, Population, Readout

SLOW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
has_8_bit = pytest.mark.skipif(not probe.backend(), reason="no exact 8-bit operator here")


def shortcut_network(channels=3, size=(4, 5), input_channels=1):
    """A stem of one channel, then a convolution with an identity shortcut."""
    rng = np.random.default_rng(0)
    shape = (channels, *size)
    neuron = MultiLevel(4, np.full(channels, 200), np.zeros(channels, int))
    stem = Conv(0, rng.integers(-127, 128, (channels, input_channels, 3, 3)), padding=(1, 1))
    conv = Conv(1, rng.integers(-127, 128, (channels, channels, 3, 3)), padding=(1, 1))
    unit = Identity(1, neuron.vth)
    return NetworkSpec(
        (
            Input((input_channels, *size), 15),
            Population("stem", shape, (stem,), neuron),
            Population("conv", shape, (conv, unit), neuron),
            Population("out", shape, (Identity(2, np.ones(channels, int)),), Readout(False)),
        )
    )


SPEC = shortcut_network()
X = payloads(SPEC, 5, 0)[..., None]
RIGHT = Engine(SPEC, "reference").run(X)[0]


def streamed(engine):
    """Outputs of the samples, one a timestep, after the pipeline of three layers."""
    found = []
    for t in range(len(X) + 3):
        engine.advance()
        found.append(engine.sent(3).astype(np.int64))
        engine.receive(X[min(t, len(X) - 1), ..., 0])
    return np.stack(found[3:])[..., None]


@pytest.fixture(autouse=True)
def said(caplog):
    """What was said; each case starts without a memory of it."""
    trial.say.cache_clear()
    caplog.set_level(logging.WARNING, "lava_mlsnn")
    return caplog


def fire_with(change):
    """Wrap the 8-bit neurons that are made from now on."""
    return lambda *arguments: change(int8.pack_threshold(*arguments))


def only_one_map(fire):
    def changed(x, *rest):
        if x.shape[0] > 1:
            raise RuntimeError("accum tensor must be contiguous")
        return fire(x, *rest)

    return changed


def off_by_one(fire):
    return lambda *arguments: fused.plain(fire(*arguments)) ^ 1


def gone(fire):
    raise AttributeError("'_OpNamespace' object has no attribute 'qconv2d_pointwise'")


def keeps_no_shortcut(fire):
    """Right unless the shortcut may be overwritten."""

    def changed(x, s=None, free=False):
        if free:
            s.zero_()
        return fire(x) if s is None else fire(x, s, free)

    return changed


@has_8_bit
@pytest.mark.parametrize("change", [only_one_map, off_by_one, gone, keeps_no_shortcut])
def test_a_form_that_is_wrong_when_tried_is_not_taken(monkeypatch, said, change):
    monkeypatch.setattr(fused, "pack_threshold", fire_with(change))
    for _ in range(2):
        engine = Engine(SPEC)
        assert type(engine.layers[2]) is General
        np.testing.assert_array_equal(engine.run(X)[0], RIGHT)
    lines = [r.getMessage() for r in said.records if "layer conv:" in r.getMessage()]
    assert len(lines) == 1, "once"
    if change is only_one_map:
        assert "accum tensor must be contiguous" in lines[0]


def fails_from_now_on(fire, switch):
    """Right while it is tried; then it spoils the source that it may overwrite, and fails."""

    def changed(x, s=None, free=False):
        if not switch:
            return fire(x, s, free)
        if s is not None and free:
            s.fill_(9)
        raise RuntimeError("a layout that nobody foresaw")

    return changed


@has_8_bit
def test_a_form_that_fails_while_it_runs_gives_way(monkeypatch, said):
    switch = []
    monkeypatch.setattr(fused, "pack_threshold", fire_with(lambda f: fails_from_now_on(f, switch)))
    engine, stream, observed = Engine(SPEC), StreamEngine(SPEC), {}
    assert type(engine.layers[2]) is Fused
    switch.append(True)
    np.testing.assert_array_equal(engine.run(X)[0], RIGHT)
    assert type(engine.layers[2]) is General
    np.testing.assert_array_equal(streamed(stream), RIGHT)
    switch.clear()
    engine = Engine(SPEC)
    switch.append(True)
    np.testing.assert_array_equal(engine.run(X, observed.__setitem__)[0], RIGHT)
    assert set(observed) == {"stem", "conv", "out"}
    assert sum("layer conv:" in r.getMessage() for r in said.records) == 1


def test_without_any_float_sum_plain_integers_are_left(monkeypatch, said):
    def broken(*_):
        raise RuntimeError("conv2d is broken")

    monkeypatch.setattr(torch.nn.functional, "conv2d", broken)
    monkeypatch.setattr(sums, "sums_exact", lambda: False)
    monkeypatch.setattr(fused, "backend", lambda: "")
    engine = Engine(SPEC)
    assert type(engine.layers[1]) is type(engine.layers[2]) is Reference
    np.testing.assert_array_equal(engine.run(X)[0], RIGHT)
    assert {"layer stem:", "layer conv:"} == {r.getMessage()[:11] for r in said.records}


def test_a_lack_of_memory_is_no_reason_to_take_a_form_that_needs_more(monkeypatch):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    engine = Engine(SPEC)
    monkeypatch.setattr(engine.layers[1], "run", full)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        engine.run(X)


def test_a_machine_as_it_should_be_is_quiet(said):
    probe.backend.cache_clear()
    probe.sums_exact.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # also what torch says of operators that will go
        engine = Engine(SPEC)
        np.testing.assert_array_equal(engine.run(X)[0], RIGHT)
    assert said.records == []
    assert type(engine.layers[2]) is (Fused if probe.backend() else General)


@given(network_specs(), st.integers(0, 3), st.data())
@SLOW
def test_every_layer_may_fail_at_any_time(spec, seed, data):
    """Forms that are taken away one after the other, while the network runs."""
    x = payloads(spec, 2, seed)
    x = np.repeat(x[..., None], spec.timesteps, -1)
    expected = Engine(spec, "reference").run(x)[0]
    engine = Engine(spec)
    for _ in range(3):
        index = data.draw(st.sampled_from(sorted(engine.layers)))
        form = engine.layers[index]
        if form.slower is not None:
            form.run = lambda *_: (_ for _ in ()).throw(RuntimeError("taken away"))
        np.testing.assert_array_equal(engine.run(x)[0], expected)
        assert form.slower is None or engine.layers[index] is not form


@given(
    st.tuples(*[st.integers(1, 3)] * 4),
    st.permutations(range(4)),
    st.sampled_from([torch.uint8, torch.float32]),
)
def test_payloads_have_one_memory_order_whatever_they_come_from(shape, order, dtype):
    """Also the strides of axes of length 1: the wrong ones choose other operators."""
    _, c, h, w = shape
    z = torch.randint(0, 9, shape).to(dtype)
    back = [order.index(k) for k in range(4)]
    z = z.permute(order).contiguous().permute(back)
    found = laid_out(z)
    assert found.stride() == (h * w * c, 1, w * c, c) and torch.equal(found, z)
    assert from_array(z.numpy().astype(np.int64), True).stride() == found.stride()


@has_8_bit
@given(
    st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(1, 2),
    st.integers(1, 4),
)  # fmt: skip
@SLOW
def test_shortcuts_over_small_maps_and_few_channels(channels, size, input_channels, batch):
    """1 x 1 maps and one channel are in several memory orders at once."""
    spec = shortcut_network(channels, size, input_channels)
    x = payloads(spec, batch, 0)[..., None]
    np.testing.assert_array_equal(Engine(spec).run(x)[0], Engine(spec, "reference").run(x)[0])


@has_8_bit
def test_a_source_of_two_synapses_is_not_overwritten_by_one():
    rng = np.random.default_rng(0)
    neuron = MultiLevel(4, np.full(2, 200), np.zeros(2, int))
    conv = Conv(0, rng.integers(-127, 128, (2, 2, 3, 3)), padding=(1, 1))
    layer = Population("layer", (2, 5, 5), (conv, Identity(0, neuron.vth)), neuron)
    ones = Identity(1, np.ones(2, int))
    out = Population("out", (2, 5, 5), (ones,), Readout(False))
    spec = NetworkSpec((Input((2, 5, 5), 15), layer, out))
    x = payloads(spec, 4, 0)[..., None]
    engine = Engine(spec)
    assert type(engine.layers[1]) is Fused
    np.testing.assert_array_equal(engine.run(x)[0], Engine(spec, "reference").run(x)[0])
