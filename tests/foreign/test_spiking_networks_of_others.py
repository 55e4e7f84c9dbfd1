"""Networks of SpikingJelly, snnTorch and sinabs send the same spikes as integers.

Recorded from the libraries themselves (files), and drawn: with the library where it is
installed, else with look-alikes under its names.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import lookalikes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import assert_same
from torch import nn

from lava_mlsnn.errors import CalibrationError, ConfigError, RangeError, UnsupportedLayerError
from lava_mlsnn.foreign import from_spiking, on_grid
from lava_mlsnn.runner import IntegerRunner
from netx_export import Identity, Input, MultiLevel, lava_available, read

ROOT = Path(__file__).parents[2]
RECORDED = sorted((ROOT / "tests" / "golden" / "foreign").glob("*.net"))
LIBRARIES = ("spikingjelly", "snntorch", "sinabs")
STATIC = Input((4,), 1)


def tool():
    path = ROOT / "tools" / "foreign_spikes.py"
    spec = importlib.util.spec_from_file_location("foreign_spikes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = tool()


def arrays_of(file):
    with np.load(file) as held:
        return dict(held)


# -- recorded -------------------------------------------------------------------------
@pytest.mark.parametrize("file", RECORDED, ids=[f.stem for f in RECORDED])
def test_the_runner_sends_what_the_library_sent(file):
    differ, total, spikes = TOOL.differences(read(file), arrays_of(file.with_suffix(".npz")))
    assert (differ, total > 0, spikes > 0) == (0, True, True)


@pytest.mark.lava
@pytest.mark.skipif(not lava_available(), reason="Lava is not installed")
@pytest.mark.parametrize("library", LIBRARIES)
def test_lava_sends_what_the_library_sent(library):
    file = next(f for f in RECORDED if f.stem.startswith(library))
    found = TOOL.differences(read(file), arrays_of(file.with_suffix(".npz")), lava=True)
    assert found[0] == 0


def test_every_library_is_recorded():
    assert {f.stem.rstrip("-0123456789") for f in RECORDED} == set(LIBRARIES)


# -- drawn ----------------------------------------------------------------------------
@pytest.mark.parametrize("library", LIBRARIES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_drawn_networks_spike_alike(library, seed):
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        for name, module in lookalikes.modules(library).items():
            patch.setitem(sys.modules, name, module)
        net, entry, steps, axes = TOOL.draw(library, seed)
        try:
            spec = from_spiking(net.eval(), entry, steps)
        except RangeError:  # unlimited spikes of sinabs can fill 24 bits
            return
        twin = on_grid(net, entry, steps)
        low, high = entry.payload
        x = np.random.default_rng(seed).integers(low, high + 1, (3, *entry.shape, steps))
        sent = TOOL.run(twin, torch.from_numpy(x / entry.gain).float(), axes)
    assert_same(from_spiking(twin, entry, steps), spec)  # the grid is its own grid
    arrays = {f"z/{name}" if name else "output": y for name, y in sent.items()}
    assert TOOL.differences(spec, {"x": x, **arrays})[0] == 0


# -- what the neurons become ----------------------------------------------------------
def one(neuron, weight=None, **linear):
    net = nn.Sequential(nn.Linear(4, 4, **linear), neuron)
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(4) if weight is None else weight)
        if net[0].bias is not None:
            net[0].bias.zero_()
    return net


def neuron_of(spec):
    return next(p.neuron for _, p in spec.populations if isinstance(p.neuron, MultiLevel))


def test_exactly_at_the_threshold_each_library_has_its_way():
    x = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    jelly, torch_, sinabs = (lookalikes.library(name) for name in LIBRARIES)
    for neuron, fires in (
        (jelly.IFNode(v_reset=None), 1),
        (torch_.Leaky(beta=1.0, init_hidden=True), 0),
    ):
        net = one(neuron)
        assert net(x)[0, 0] == fires
        found = neuron_of(from_spiking(net, STATIC, 1))
        assert int(found.v0[0]) == fires - 1 and found.levels == 1
    found = neuron_of(from_spiking(one(sinabs.IAFSqueeze(batch_size=1)), STATIC, 5))
    assert int(found.v0[0]) == 0


def test_unlimited_spikes_get_as_many_levels_as_can_come():
    sinabs = lookalikes.library("sinabs")
    weight = torch.full((4, 4), 2.0)
    found = neuron_of(from_spiking(one(sinabs.IAFSqueeze(batch_size=1), weight), STATIC, 5))
    assert found.levels == 8  # four inputs of weight 2, and a rest below 1
    limited = sinabs.IAFSqueeze(batch_size=1, spike_fn=sinabs.MaxSpike(3))
    assert neuron_of(from_spiking(one(limited, weight), STATIC, 5)).levels == 3


def test_weights_come_back_as_exact_floats_and_the_original_stays():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), lookalike_if())
    net.train()(torch.randn(3, 1, 5, 5))
    net[2].reset()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    entry = Input((1, 5, 5), 1)
    twin, spec = on_grid(net, entry, 2), from_spiking(net, entry, 2)
    layer = spec.layers[1]
    whole = twin[0].weight.double() * torch.from_numpy(layer.scale).reshape(-1, 1, 1, 1)
    scaled = layer.synapses[0].weight * 2.0 ** layer.synapses[0].weight_exp
    assert np.array_equal(whole.detach().numpy(), scaled)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.allclose(
        (
            net[0].weight
            * (net[1].weight / (net[1].running_var + net[1].eps).sqrt())[:, None, None, None]
        ),
        twin[0].weight,
        atol=float(net[0].weight.abs().max()) / 40,
    )


def lookalike_if(**options):
    return lookalikes.library("spikingjelly").IFNode(v_reset=None, **options)


def test_sums_of_spikes_are_a_relay_of_ones():
    class Sew(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
            self.sa, self.sb = lookalike_if(), lookalike_if()

        def forward(self, x):
            x = self.sa(self.a(x))
            return self.sb(self.b(x)) + x

    spec = from_spiking(Sew(), STATIC, 3)
    relay = next(p for _, p in spec.populations if len(p.synapses) == 2)
    assert all(isinstance(s, Identity) and (s.weight == 1).all() for s in relay.synapses)


# -- a loop over timesteps inside of the forward -----------------------------------------
class Loops(nn.Module):
    """As snnTorch's tutorials have it: states are held by the forward."""

    def __init__(self, steps, timed):
        super().__init__()
        leaky = lookalikes.library("snntorch").Leaky
        self.conv, self.fc1, self.fc2 = nn.Conv2d(1, 2, 3), nn.Linear(8, 5), nn.Linear(5, 3)
        self.lif0, self.lif1, self.lif2 = leaky(beta=1.0), leaky(beta=1.0), leaky(beta=1.0)
        self.steps, self.timed, self.wrong = steps, timed, ""
        for layer in (self.conv, self.fc1, self.fc2):
            layer.weight.data.mul_(4)

    def forward(self, x):
        mem0, mem1, mem2 = self.lif0.init_leaky(), self.lif1.init_leaky(), self.lif2.init_leaky()
        still = None if self.timed else self.conv(x)
        spikes, membranes, before = [], [], 0
        for t in range(self.steps):
            spk0, mem0 = self.lif0(self.conv(x[t]) if self.timed else still, mem0)
            spk1, mem1 = self.lif1(self.fc1(spk0.flatten(1)), mem1)
            if self.wrong == "delay" and t:
                spk1, before = before, spk1
            before = spk1 if self.wrong == "delay" else before
            mem2 = mem1 if self.wrong == "state" and t else mem2
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        if self.wrong == "last":
            return spk2
        return torch.stack(spikes), torch.stack(membranes)


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_a_loop_over_timesteps_is_one_timestep(steps, timed):
    torch.manual_seed(steps)
    net, entry = Loops(steps, timed), Input((1, 4, 4), 3)
    spec, twin = from_spiking(net, entry, steps), on_grid(net, entry, steps)
    assert [p.name for _, p in spec.populations] == ["lif0", "lif1", "lif2", "lif2.count"]
    x = np.random.default_rng(steps).integers(0, 4, (5, 1, 4, 4, steps))
    x = x if timed else x[..., 0]
    with torch.no_grad():
        samples = torch.from_numpy(x).float()
        sent = twin(samples.movedim(-1, 0) if timed else samples)[0].movedim(0, -1)
    trace = IntegerRunner(spec).trace(x)
    np.testing.assert_array_equal(trace.layers["lif2"], sent.numpy())
    assert sent.any()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("delay", "was sent in another timestep"),
        ("state", "a state other than what it left"),
        ("last", "must be what all timesteps send"),
        ("length", "calls every neuron 3 times, but the network is for T = 4"),
    ],
)
def test_a_loop_that_mixes_timesteps_is_refused(wrong, why):
    net = Loops(3, False)
    net.wrong = wrong
    with pytest.raises(UnsupportedLayerError, match=why):
        from_spiking(net, Input((1, 4, 4), 3), 4 if wrong == "length" else 3)


# -- refused ----------------------------------------------------------------------------
def refusals():
    jelly, torch_, sinabs = (lookalikes.library(name) for name in LIBRARIES)
    subtract = {"v_reset": None}

    class Own(jelly.IFNode):
        def neuronal_fire(self):
            return (self.v > 2).float()

    changed = jelly.IFNode(**subtract)
    changed.forward = lambda x: x
    yield jelly.IFNode(), "resets to v_reset = 0.0"
    yield jelly.LIFNode(), "leaks"
    yield Own(**subtract), "changes neuronal_fire of IFNode"
    yield changed, "has another forward than its class"
    yield torch_.Leaky(beta=0.9, init_hidden=True), "leaks (beta = 0.9)"
    hidden = {"beta": 1.0, "init_hidden": True}
    yield torch_.Leaky(**hidden, reset_mechanism="zero"), 'resets by "zero"'
    yield torch_.Leaky(**hidden, reset_delay=False), "reset_delay=False"
    yield torch_.Leaky(**hidden, inhibition=True), "inhibits"
    yield torch_.Leaky(**hidden, threshold=[1.0, 2.0, 1.0, 1.0]), "threshold for every neuron"
    yield torch_.Leaky(**hidden, graded_spikes_factor=3.0), "no power of two"
    yield sinabs.IAFSqueeze(batch_size=1, reset_fn=sinabs.MembraneReset()), "reset by its threshold"
    yield sinabs.IAFSqueeze(batch_size=1, min_v_mem=-1.0), "min_v_mem"
    if hasattr(jelly, "ILIFNode"):
        count = {"surrogate_function": jelly.MultiLevelSpikeCount(2)}
        yield jelly.ILIFNode(tau=2.0, **count), "leaks 0.5 of its state"


REFUSED = list(refusals())


@pytest.mark.parametrize("neuron,why", REFUSED, ids=[why for _, why in REFUSED])
def test_what_is_not_exact_is_refused_with_its_place(neuron, why):
    with pytest.raises(UnsupportedLayerError) as caught:
        from_spiking(one(neuron), STATIC, 2)
    assert why in str(caught.value) and "layer '1'" in str(caught.value)


def test_neurons_and_max_pools_are_refused_at_once():
    leaky = lookalikes.library("snntorch").Leaky(beta=0.9, init_hidden=True)
    net = nn.Sequential(nn.Conv2d(1, 2, 1), leaky, nn.MaxPool2d(2), nn.Flatten(), lookalike_if())
    with pytest.raises(UnsupportedLayerError) as caught:
        from_spiking(net, Input((1, 2, 2), 1), 2)
    assert "layer '1': Leaky leaks" in str(caught.value)
    assert "layer '2': MaxPool2d keeps the largest" in str(caught.value)
    net[1] = lookalike_if()
    with pytest.raises(UnsupportedLayerError, match=r"layer '2': MaxPool2d .*use an average"):
        from_spiking(net, Input((1, 2, 2), 1), 2)


def test_a_neuron_that_does_something_else_under_a_known_name_is_seen():
    class IFNode(lookalikes.BaseNode):
        keep = 1.0

        def neuronal_fire(self):
            return (self.v > self.v_threshold).float()

    IFNode.__module__ = "spikingjelly.activation_based.neuron"
    with pytest.raises(UnsupportedLayerError, match="does not spike as the neuron of that name"):
        from_spiking(one(IFNode(v_reset=None)), STATIC, 2)


def forwards():
    def net(forward):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc, self.fc2 = nn.Linear(4, 4), nn.Linear(4, 4)
                self.sn, self.sn2, self.norm = lookalike_if(), lookalike_if(), nn.BatchNorm1d(4)

        Net.forward = forward
        return Net()

    yield net(lambda s, x: s.sn(s.fc(x)) * s.sn2(s.fc2(x))), "mul"
    yield net(lambda s, x: s.sn(s.fc(x).relu())), "relu"
    yield net(lambda s, x: s.sn(s.fc(s.fc(x)))), "used twice"
    yield net(lambda s, x: s.sn2(s.sn(s.fc(x)) / 3)), "div"
    yield net(lambda s, x: s.sn2(s.fc2(s.fc(x)))), "must get spikes, but gets sums"
    yield net(lambda s, x: s.sn(s.norm(x))), "behind a Conv2d or Linear"
    yield net(lambda s, x: s.sn2(s.fc(s.sn(s.fc2(x)))[:, :2])), "part of what a layer sends"
    yield net(lambda s, x: x), "must be what neurons send"


FORWARDS = list(forwards())


@pytest.mark.parametrize("net,why", FORWARDS, ids=[why for _, why in FORWARDS])
def test_a_forward_that_is_not_exact_is_refused(net, why):
    with pytest.raises(UnsupportedLayerError, match=why):
        from_spiking(net.eval(), STATIC, 2)


def test_arguments_and_numbers_are_checked():
    net = one(lookalike_if())
    with pytest.raises(ConfigError, match="gain of the input must be a power of two"):
        from_spiking(net, Input((4,), 10, gain=10.0), 1)
    with pytest.raises(ConfigError, match=r"input must be a netx_export\.Input"):
        from_spiking(net, (4,), 1)
    with pytest.raises(RangeError, match="finite"):
        from_spiking(one(lookalike_if(), torch.full((4, 4), math.nan)), STATIC, 1)
    with pytest.raises(UnsupportedLayerError, match="no neuron of SpikingJelly"):
        from_spiking(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), STATIC, 1)
    unseen = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), lookalike_if())
    with pytest.raises(CalibrationError, match="has seen no batch"):
        from_spiking(unseen, STATIC, 1)
    pool = nn.Sequential(
        nn.Conv2d(1, 1, 1), lookalike_if(), nn.AvgPool2d(3), nn.Flatten(), nn.Linear(1, 2)
    )
    with pytest.raises(UnsupportedLayerError, match="average of 9 spikes is no exact float"):
        from_spiking(pool, Input((1, 3, 3), 1), 1)
