"""One sample as one call: the same integers as layer by layer, or it is not used."""

from __future__ import annotations

import logging
import time
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import network_specs, payloads, trained_like

from lava_mlsnn.engine import Engine, StreamEngine, probe, session, trial, whole
from lava_mlsnn.engine.general import General
from lava_mlsnn.runner import IntegerRunner
from netx_export.exact_settings import exact_settings
from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)
from netx_export.spec.timing import latency

GRAPH, ONNX = "one graph for a sample", "onnxruntime for one sample"
FEW = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
has_graph = pytest.mark.skipif(probe.backend() != "eager", reason="no 8-bit operator to trace")


@pytest.fixture(autouse=True)
def said(caplog):
    """What was said; each case starts without a memory of it."""
    trial.say.cache_clear()
    caplog.set_level(logging.WARNING, "lava_mlsnn")
    return caplog


def made(spec, *names):
    """An engine that has these makers alone, and has made what it could."""
    engine = Engine(spec)
    if engine._whole is not None:
        engine._whole._makers = {name: engine._whole._makers[name] for name in names}
        engine.warm_up()
    return engine


def assert_same(engine, spec, x):
    expected = Engine(spec, "reference").run(x)[0]
    for k in range(len(x)):
        np.testing.assert_array_equal(engine.run(x[k : k + 1])[0], expected[k : k + 1])


@pytest.mark.parametrize("name", [GRAPH, ONNX])
@given(st.one_of(trained_like(), network_specs(timesteps=1)), st.integers(0, 99))
@FEW
def test_one_call_gives_the_integers_of_the_layers(name, spec, seed):
    if name == ONNX:
        pytest.importorskip("onnxruntime")
    assert_same(made(spec, name), spec, payloads(spec, 3, seed)[..., None])


def one(seed=0):
    """A network of 8-bit layers."""
    from test_fallback import shortcut_network

    spec = shortcut_network(4, (4, 5), 3)
    return spec, payloads(spec, 4, seed)[..., None]


@has_graph
def test_the_graph_is_used_and_quiet(said):
    spec, x = one()
    engine = made(spec, GRAPH)
    assert engine._whole._made is not None and not said.records
    engine._run = None  # layer by layer
    engine.run(x[:1])


@has_graph
def test_layers_in_floats_are_in_the_graph_too(said):
    """The first one of grey images, of one channel, that no 8-bit operator is trusted with."""
    neuron = MultiLevel(4, np.full(3, 5), np.full(3, 2))
    conv = Conv(0, np.arange(27).reshape(3, 1, 3, 3) % 5 - 2)
    out = Population("out", (2,), (Dense(2, np.ones((2, 27), int)),), Readout())
    layers = (Input((1, 5, 5), 4), Population("conv", (3, 3, 3), (conv,), neuron))
    spec = NetworkSpec((*layers, Flatten(1, (27,)), out))
    engine = made(spec, GRAPH)
    assert type(engine.layers[1]) is General
    assert engine._whole._made is not None and not said.records
    assert_same(engine, spec, payloads(spec, 3)[..., None])


def test_the_session_is_used_and_quiet(said):
    pytest.importorskip("onnxruntime")
    spec, x = one()
    engine = made(spec, ONNX)
    assert engine._whole._made is not None and not said.records
    engine._run = None
    engine.run(x[:1])


def test_without_onnxruntime_nothing_is_said(monkeypatch, said):
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    spec, x = one()
    engine = made(spec, ONNX)
    assert engine._whole._made is None and not said.records
    assert_same(engine, spec, x)


def wrong(call):
    return lambda *inputs: [z + 1 for z in call(*inputs)]


def wrong_later(call):
    """Right until torch's interpreter has rewritten the graph."""
    count = [0]

    def changed(*inputs):
        count[0] += 1
        return [z + (count[0] == whole.TRIES) for z in call(*inputs)]

    return changed


def broken(call):
    raise RuntimeError("an operator that is gone")


@pytest.mark.parametrize("change", [wrong, wrong_later, broken])
def test_what_is_wrong_when_tried_is_not_used_and_said_once(said, change):
    spec, x = one()
    for _ in range(2):
        engine = made(spec)
        plainly = engine._whole._plainly
        engine._whole._makers = {"it": lambda f=plainly: change(f)}
        engine._whole.make()
        assert engine._whole._made is None
        assert_same(engine, spec, x)
    assert [r.getMessage()[:3] for r in said.records] == ["it:"]


def test_what_fails_while_it_runs_gives_way(said):
    spec, x = one()
    engine = made(spec)
    calls = []

    def fails(*inputs):
        calls.append(inputs)
        if len(calls) > 3 * whole.TRIES + 1:
            raise RuntimeError("from now on")
        with exact_settings(), torch.inference_mode():
            return engine._whole._plainly(*inputs)

    engine._whole._makers = {"it": lambda: fails}
    engine._whole.make()
    assert_same(engine, spec, x)
    assert engine._whole._made is None and len(said.records) == 1
    assert len(calls) == 3 * whole.TRIES + 2, "asked once more, then no more"


def test_the_faster_one_is_used():
    spec, _ = one()
    engine = made(spec)
    plainly = engine._whole._plainly

    def slow(*inputs):
        time.sleep(0.02)
        return plainly(*inputs)

    engine._whole._makers = {"slow": lambda: slow, "fast": lambda: plainly}
    engine._whole.make()
    assert engine._whole._made is plainly


def test_it_is_made_by_itself_once_it_pays_and_again_for_other_threads(monkeypatch):
    monkeypatch.setattr(whole, "PAYS", 3)
    spec, x = one()
    runner = IntegerRunner(spec, threads=1)
    expected = Engine(spec, "reference").run(x)[0]
    there = []
    for _ in range(4):
        np.testing.assert_array_equal(runner.run(x[:1, ..., 0], 1).output, expected[:1])
        there.append(runner._engine._whole._made is not None)
    made_at_all = probe.backend() == "eager" or session.session(spec) is not None
    assert there == [False, False, made_at_all, made_at_all]
    runner.threads = 2
    assert runner.run(x[:1, ..., 0], 1).output.tolist() == expected[:1].tolist()
    assert runner._engine._whole._made is None
    runner.run(x[..., 0])  # several samples, layers that are wanted: not this way
    runner.trace(x[:1, ..., 0])
    assert runner._engine._whole._calls == 1


RUNNER = None


def _in_child(k):
    _, x = one()
    return RUNNER.run(x[k : k + 1, ..., 0], 1).output.tolist()


def test_a_process_that_was_forked_does_not_wait_for_threads_of_its_parent():
    global RUNNER
    spec, x = one()
    RUNNER = IntegerRunner(spec)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    pool = None
    try:
        RUNNER.warm_up()
        expected = RUNNER.run(x[:1, ..., 0], 1).output.tolist()
        pool = get_context("fork").Pool(1)
        assert pool.apply_async(_in_child, (0,)).get(20) == expected
    finally:
        torch.set_num_threads(before)
        if pool is not None:
            pool.terminate()


@has_graph
@given(st.one_of(trained_like(), network_specs(timesteps=1)), st.integers(0, 99))
@FEW
def test_a_timestep_of_a_stream_as_one_call(spec, seed):
    x = payloads(spec, 4, seed)
    plain, once = StreamEngine(spec), StreamEngine(spec)
    plain._whole = None
    once._whole.make()
    for t in range(len(x) + latency(spec)):
        for engine in (plain, once):
            engine.advance()
            engine.receive(x[min(t, len(x) - 1)])
        for index, _ in spec.populations:
            np.testing.assert_array_equal(once.sent(index), plain.sent(index))
            np.testing.assert_array_equal(once.state(index), plain.state(index))
            assert not once.overflow_counts(index).any()


@has_graph
def test_a_stream_uses_it_until_a_payload_leaves_its_range(said):
    spec, _ = one()
    engine = StreamEngine(spec)
    engine._whole.make()
    assert engine._whole._made is not None
    engine._step = None
    engine.advance()
    engine.receive(np.full(spec.input.shape, 1 << 20))
    assert engine._whole is None and not said.records
    del engine._step
    engine.advance()


def test_memory_that_is_short_is_no_reason_to_go_on():
    spec, _ = one()
    engine = made(spec)

    def full():
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    engine._whole._makers = {"it": full}
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        engine._whole.make()
