"""The leaf model of a network is one Process per synapse and population, seen from outside.

Compared in Lava over all timesteps, the filling of the pipeline included: payloads,
states, overflows, and what happens when somebody sends or writes what no file allows.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("lava.magma")

from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn.lava.network import Network
from lava_mlsnn.lava.session import LavaSession
from lava_mlsnn.proc import Record, Stream
from netx_export.spec import Dense, Input, MultiLevel, NetworkSpec, Population, Readout

pytestmark = [pytest.mark.lava, pytest.mark.timeout(120)]


def run(spec, data, per_layer, *, names, offset=0, stops=(), tag="fixed_pt", write=None):
    """Payloads of layers from timestep 1 on, and states and overflows at every stop."""
    network = Network(spec, input_delay=offset)
    kind = np.int32 if tag == "fixed_pt" else np.float64
    source = Stream(data=data.astype(kind))
    source.s_out.connect(network.inp)
    sinks = {}
    for name in names:
        port = network.probe(name)
        sinks[name] = Record(shape=port.shape, steps=len(data), dtype=kind)
        port.connect(sinks[name].a_in)
    out = Record(shape=network.out.shape, steps=len(data), dtype=kind)
    network.out.connect(out.a_in)
    run_cfg = Loihi2SimCfg(select_tag=tag, select_sub_proc_model=per_layer)
    seen = []
    with LavaSession(source, run_cfg) as session:
        done = 0
        for stop in (*stops, len(data)):
            session.run(stop - done, timeout=60)
            done = stop
            states = {name: network.state(name).get() for name in names}
            counts = {
                name: getattr(network, name).get().item()
                for index, _ in spec.populations
                for name in network.overflow_names(index)
            }
            seen.append((states, counts))
            if write is not None and stop == stops[0]:
                network.state(write[0]).set(write[1])
    return {name: sink.data for name, sink in sinks.items()} | {"out of it": out.data}, seen


def assert_same_run(spec, data, **options):
    leaf, seen = run(spec, data, False, **options)
    layers, wanted = run(spec, data, True, **options)
    for name, values in layers.items():
        np.testing.assert_array_equal(leaf[name], values, err_msg=name)
    for (states, counts), (states_wanted, counts_wanted) in zip(seen, wanted, strict=True):
        for name, state in states_wanted.items():
            np.testing.assert_array_equal(states[name], state, err_msg=f"state of {name}")
        assert counts == counts_wanted
    return leaf, seen


def stream(spec, steps, low, high, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(low, high + 1, (steps, *spec.input.shape[::-1]))


@pytest.mark.parametrize("timesteps, offset", [(1, 0), (3, 2)], ids=["T=1", "T=3, late"])
def test_payloads_states_and_overflows_from_the_first_timestep_on(residual, timesteps, offset):
    spec = residual(timesteps, 4, seed=2, half=True)
    names = ["stem", "b1.c2", "b2.c2", "out"]
    data = stream(spec, 14, 0, 4)
    leaf, _ = assert_same_run(spec, data, names=names, offset=offset, stops=(4, 9))
    assert all(len(np.unique(values)) > 1 for values in leaf.values())


@pytest.mark.parametrize("timesteps", [1, 2])
def test_payloads_that_the_file_does_not_allow_are_computed_alike(residual, timesteps):
    spec = residual(timesteps, 4, seed=3)
    data = stream(spec, 12, 0, 4)
    data[5] = stream(spec, 1, -(1 << 21), 1 << 21, seed=1)[0]
    _, seen = assert_same_run(spec, data, names=["stem", "b1.c2", "out"], stops=(3, 8))
    assert sum(seen[-1][1].values()) > 0, "nothing left 24 bits: the comparison says little"


def test_binary_input_is_cut_to_one_bit(residual):
    spec = residual(1, 1, seed=4)
    assert_same_run(spec, stream(spec, 9, -3, 3), names=["stem", "b1.c2"])


def test_floating_point_models_agree(residual):
    spec = residual(2, 4, seed=5)
    data = stream(spec, 10, -9, 9) / 4
    assert_same_run(spec, data, names=["stem", "b1.c2", "out"], tag="floating_pt", stops=(5,))


def test_a_state_that_is_written_is_the_one_that_goes_on(residual):
    spec = residual(4, 4, seed=6)
    rng = np.random.default_rng(0)
    value = rng.integers(0, 100, (5, 7, 4))  # Lava's order (W, H, C)
    data = stream(spec, 12, 0, 4)
    names = ["stem", "b1.c1", "b1.c2"]
    plain, _ = run(spec, data, False, names=names, stops=(7,))
    written, _ = assert_same_run(spec, data, names=names, stops=(7,), write=("b1.c1", value))
    assert any(not np.array_equal(plain[name], written[name]) for name in names)


def test_sums_beyond_24_bits_wrap_and_are_counted_alike():
    relay = Population("relay", (2,), (Dense(0, np.array([[255], [99]]), 10),), Readout(False, 8))
    neuron = MultiLevel(4, np.array([1000, 2000]), np.array([0, 7]))
    layer = Population("layer", (2,), (Dense(1, np.array([[1, 2], [3, 4]])),), neuron)
    out = Population("out", (1,), (Dense(2, np.array([[1, 1]])),), Readout())
    spec = NetworkSpec((Input((1,), 127, True), relay, layer, out), 2)
    _, seen = assert_same_run(spec, stream(spec, 9, -127, 127), names=["relay", "layer", "out"])
    assert sum(seen[-1][1].values()) > 0
