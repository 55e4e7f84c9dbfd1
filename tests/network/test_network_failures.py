"""Failures of a Lava run: one clear error, in time, and no process left."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lava_mlsnn.errors import ConfigError, DataError, MLSNNError, RunError, UnsupportedLayerError
from lava_mlsnn.lava.run import run_lava
from netx_export.spec import Dense, Input, MultiLevel, NetworkSpec, Population, Readout, StockNeuron

psutil = pytest.importorskip("psutil")

X = np.ones((2, 6), int)


def small(neuron=None) -> NetworkSpec:
    weight = np.arange(30).reshape(5, 6) - 12
    return NetworkSpec(
        (
            Input((6,), levels=9),
            Population("hidden", (5,), (Dense(0, weight),), neuron or MultiLevel(4, [30], [0])),
            Population("out", (3,), (Dense(1, weight[:3, :5]),), Readout()),
        )
    )


def children() -> set[int]:
    """Processes that this one started, less multiprocessing's tracker, which stays."""
    found = psutil.Process().children(recursive=True)
    return {p.pid for p in found if "resource_tracker" not in " ".join(p.cmdline())}


@pytest.fixture
def nothing_left():
    before = children()
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 40
    assert children() <= before
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    "x, text",
    [
        (np.ones((2, 5), int), "samples must have shape (N, 6)"),
        (np.full((2, 6), 10), "0..9"),
        (-X, "0..9"),
        (X * 0.5, "whole numbers"),
        (np.ones((2, 6, 3), int), "T = 1"),
        (np.array([["a"] * 6]), "whole numbers"),
    ],
    ids=["shape", "too large", "negative", "fractions", "other T", "text"],
)
def test_samples_that_cannot_enter(x, text):
    with pytest.raises(DataError) as caught:
        run_lava(small(), x)
    assert text in str(caught.value)


def test_unknown_probe_and_tag():
    with pytest.raises(ConfigError, match="'nope'; there are hidden, out"):
        run_lava(small(), X, probes=["nope"])
    with pytest.raises(ConfigError, match="tag must be one of"):
        run_lava(small(), X, tag="fast")


def test_no_samples_need_no_lava():
    result = run_lava(small(), X[:0], probes=True)
    assert result.output.shape == (0, 3, 1) and result.layers["hidden"].shape == (0, 5, 1)


def test_without_lava_there_is_one_clear_error():
    code = """
import importlib.util
importlib.util.find_spec = lambda name: None
import numpy as np
from lava_mlsnn.errors import MLSNNError
from lava_mlsnn.lava.run import run_lava
from netx_export.spec import *
spec = NetworkSpec((Input((2,)), Population("o", (1,), (Dense(0, np.ones((1, 2))),), Readout())))
try:
    run_lava(spec, np.ones((1, 2), int))
except MLSNNError as error:
    assert "Python 3.10 with lava-nc" in str(error), error
else:
    raise SystemExit("no error")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


lava = pytest.mark.lava
bounded = pytest.mark.timeout(60)


def require_lava() -> None:
    pytest.importorskip("lava.magma")


@lava
@bounded
@pytest.mark.parametrize(
    "neuron, text",
    [
        (StockNeuron("ALIF", {"vThMant": 3}), "layer 1 (hidden): neurons of type 'ALIF'"),
        (StockNeuron("CUBA", {"vThMant": 3}), "needs iDecay, vDecay"),
    ],
)
def test_a_neuron_that_lava_cannot_run(neuron, text):
    require_lava()
    with pytest.raises(UnsupportedLayerError) as caught:
        run_lava(small(neuron), X[:1])
    assert text in str(caught.value)


@lava
@bounded
@pytest.mark.parametrize("which", ["first", "last"])
def test_a_killed_process_ends_the_run(which, nothing_left):
    require_lava()
    killed = []

    def progress(done: int, total: int) -> None:
        if done > 3 and not killed:
            pids = sorted(p.pid for p in multiprocessing.active_children())
            killed.append(pids[0] if which == "first" else pids[-1])
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(RunError, match="was killed by signal 9"):
        run_lava(small(), np.ones((20000, 6), int), progress=progress)


@lava
@bounded
def test_a_run_that_takes_too_long(nothing_left):
    require_lava()
    with pytest.raises(RunError, match=r"of 20002 timesteps after 0\.1 s"):
        run_lava(small(), np.ones((20000, 6), int), timeout=0.1)


@lava
@bounded
def test_a_run_prints_nothing_and_leaves_logging_alone(nothing_left, capfd):
    """Every Lava Process adds a handler to the root logger, and keeps it there."""
    require_lava()
    handlers = list(logging.getLogger().handlers)
    run_lava(small(), X)
    assert logging.getLogger().handlers == handlers
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def ctrl_c_interrupts():
    """A job in the background of a shell, such as one of CI, starts with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@lava
@bounded
def test_ctrl_c_ends_everything_quietly(nothing_left, ctrl_c_interrupts, capfd):
    require_lava()

    def interrupt(done: int, total: int) -> None:
        if done > 3:
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                process.send_signal(signal.SIGINT)
            time.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        run_lava(small(), np.ones((20000, 6), int), progress=interrupt)
    assert capfd.readouterr().err == ""


@lava
@bounded
def test_a_model_that_raises_is_named(nothing_left, capfd):
    require_lava()
    from lava.magma.core.run_configs import Loihi2SimCfg

    from lava_mlsnn.lava.session import LavaSession
    from lava_mlsnn.proc import MultiLevelIF, Record, Stream

    # An item of the wrong shape makes the model's send() raise at timestep 2.
    source = Stream(data=np.ones((3, 2), int))
    source.proc_params.overwrite("data", [np.ones(2, int), np.ones(3, int)])
    neuron, sink = MultiLevelIF((2,), 1, 4, name="victim"), Record(shape=(2,), steps=3)
    source.s_out.connect(neuron.a_in)
    neuron.s_out.connect(sink.a_in)
    with (
        pytest.raises(RunError, match=r"\(Stream\) failed: AssertionError"),
        LavaSession(source, Loihi2SimCfg(select_tag="fixed_pt")) as session,
    ):
        session.run(3)
    out = capfd.readouterr()
    assert out.out == "" and "Traceback" not in out.err


@lava
@bounded
def test_a_model_that_cannot_be_built(nothing_left, capfd):
    require_lava()
    from lava.magma.core.run_configs import Loihi2SimCfg

    from lava_mlsnn.lava.session import LavaSession
    from lava_mlsnn.proc import MultiLevelIF, Record

    neuron, sink = MultiLevelIF((2,), 1, 4), Record(shape=(2,), steps=3)
    neuron.s_out.connect(sink.a_in)
    neuron.v.init = np.zeros(7)
    with (
        pytest.raises(RunError, match="Lava could not start the network: ValueError"),
        LavaSession(neuron, Loihi2SimCfg(select_tag="fixed_pt")),
    ):
        pass
    assert capfd.readouterr().out == ""


@lava
@bounded
def test_lava_is_found_after_other_use_of_multiprocessing():
    require_lava()
    code = """
import multiprocessing
multiprocessing.set_start_method("spawn")
from lava_mlsnn.lava.session import require_lava
require_lava()
import lava.magma.core.process.process
assert multiprocessing.get_start_method() == "fork"
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


def test_every_error_is_of_the_project():
    assert issubclass(RunError, MLSNNError) and issubclass(UnsupportedLayerError, MLSNNError)
