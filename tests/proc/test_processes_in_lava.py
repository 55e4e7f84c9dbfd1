"""The Processes in the real Lava runtime, next to stock Lava's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("lava.magma")

from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg, Loihi2SimCfg
from lava.proc.conv.process import Conv as StockConv
from lava.proc.dense.process import Dense as StockDense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIF

from lava_mlsnn.proc import Conv, Dense, MultiLevelIF, Record, Stream
from netx_export.spec.neurons.step import multilevel_step

pytestmark = [pytest.mark.lava, pytest.mark.timeout(60)]


@pytest.mark.parametrize("config", [Loihi1SimCfg, Loihi2SimCfg])
@pytest.mark.parametrize(
    "tag, name", [("fixed_pt", "PyMultiLevelIFFixed"), ("floating_pt", "PyMultiLevelIFFloat")]
)
def test_run_configurations_pick_the_model_by_tag(config, tag, name):
    neuron = MultiLevelIF((2,), 1, 4)
    executable = neuron.compile(config(select_tag=tag))
    assert executable.proc_builders[neuron].proc_model.__name__ == name


def test_stock_processes_receive_our_payload_and_send_us_theirs():
    """stock source -> ours -> stock Dense and Conv -> our sink; stock LIF -> our Dense."""
    rng = np.random.default_rng(1)
    shape, steps = (4, 3, 2), 6
    x = rng.integers(0, 40, (*shape, steps))
    kernel = rng.integers(-60, 60, (3, 3, 2, 2)) * 2
    matrix = rng.integers(-60, 60, (5, 24)) * 2
    source = Source(data=x)
    neuron = MultiLevelIF(shape, [7, 9], 4, reset_interval=2)
    stock_conv = StockConv(weight=kernel, input_shape=shape, num_message_bits=8)
    conv = Conv(weight=kernel, input_shape=shape, num_message_bits=8)
    stock_dense = StockDense(weights=matrix, num_message_bits=8)
    lif = LIF(shape=(5,), vth=2, bias_mant=0)
    dense = Dense(weights=np.diag([1, 2, 3, 4, 5]))  # binary: LIF spikes
    sinks = {
        name: Record(shape=port.shape, steps=steps)
        for name, port in {
            "z": neuron.s_out,
            "stock": stock_conv.a_out,
            "ours": conv.a_out,
            "dense": stock_dense.a_out,
            "spikes": lif.s_out,
            "weighted": dense.a_out,
        }.items()
    }
    stock_sink = Sink(shape=neuron.shape, buffer=steps)
    source.s_out.connect(neuron.a_in)
    neuron.s_out.connect([stock_conv.s_in, conv.s_in, sinks["z"].a_in, stock_sink.a_in])
    neuron.s_out.flatten().connect(stock_dense.s_in)
    stock_dense.a_out.connect([lif.a_in, sinks["dense"].a_in])
    lif.s_out.connect([dense.s_in, sinks["spikes"].a_in])
    stock_conv.a_out.connect(sinks["stock"].a_in)
    conv.a_out.connect(sinks["ours"].a_in)
    dense.a_out.connect(sinks["weighted"].a_in)
    try:
        neuron.run(RunSteps(steps), Loihi2SimCfg(select_tag="fixed_pt"))
        in_sink = stock_sink.data.get()
        state, overflows = neuron.v.get(), neuron.overflows.get()
    finally:
        neuron.stop()
    v = np.zeros(shape, np.int64)
    for t in range(steps):
        z, v = multilevel_step(v * (t % 2), x[..., t], np.array([7, 9]), 4)
        np.testing.assert_array_equal(sinks["z"].data[t], z)
    np.testing.assert_array_equal(state, v)
    np.testing.assert_array_equal(np.moveaxis(in_sink, -1, 0), sinks["z"].data)
    np.testing.assert_array_equal(sinks["ours"].data, sinks["stock"].data)
    assert sinks["ours"].data.any()
    flat = sinks["z"].data.reshape(steps, -1)
    np.testing.assert_array_equal(sinks["dense"].data[1:], flat[:-1] @ matrix.T)
    spikes = sinks["spikes"].data
    assert spikes.any() and not spikes.all()
    np.testing.assert_array_equal(sinks["weighted"].data[1:], spikes[:-1] * np.arange(1, 6))
    assert overflows[0] == 0


def test_compiling_imports_no_torch_and_warns_of_nothing():
    code = """
import sys, warnings
warnings.simplefilter("error", UserWarning)  # "Cannot import module ..."
from lava.magma.core.run_configs import Loihi2SimCfg
from lava_mlsnn import proc
ports = [proc.MultiLevelIF((2,), 1, 4), proc.Readout((2,)), proc.Dense(weights=[[1]]),
         proc.Conv(weight=[[[[1]]]], input_shape=(2, 2, 1)),
         proc.Identity(shape=(2,), weight=[1, 1])]
for p in ports:
    p.compile(Loihi2SimCfg(select_tag="fixed_pt"))
assert "torch" not in sys.modules
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stderr


def test_a_recording_is_readable_while_lava_runs_and_skips_the_latency():
    source = Stream(data=np.arange(1, 4).reshape(3, 1), repeat=2)
    sink = Record(shape=(1,), steps=7, start=1)
    source.s_out.connect(sink.a_in)
    try:
        source.run(RunSteps(2), Loihi2SimCfg(select_tag="fixed_pt"))
        assert sink.done == 2
        assert sink.data[:, 0].tolist() == [1, 0, 0, 0, 0, 0, 0]
        source.run(RunSteps(6))
    finally:
        source.stop()
    assert sink.data[:, 0].tolist() == [1, 2, 2, 3, 3, 0, 0]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_killed_script_leaves_no_process_behind(tmp_path):
    psutil = pytest.importorskip("psutil")
    code = """
import sys, time
import numpy as np
from lava.magma.core.run_configs import Loihi2SimCfg
from lava_mlsnn.proc import Record, Stream
from lava_mlsnn.lava.session import LavaSession
source, sink = Stream(data=np.ones((1, 1), int)), Record(shape=(1,), steps=1)
source.s_out.connect(sink.a_in)
with LavaSession(source, Loihi2SimCfg(select_tag="fixed_pt")) as session:
    session.run(1)
    print("running", flush=True)
    time.sleep(60)
"""
    script = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert script.stdout is not None
        assert script.stdout.readline() == "running\n"
        children = psutil.Process(script.pid).children(recursive=True)
        assert len(children) == 3  # two Processes and the runtime service
        os.kill(script.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []
    finally:
        script.kill()
        script.wait()
