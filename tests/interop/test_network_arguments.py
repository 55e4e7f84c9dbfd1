"""The arguments of lava-dl's ``hdf5.Network`` mean the same in ours."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

pytest.importorskip("lava.magma")
pytest.importorskip("lava.lib.dl.netx.hdf5")

from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn.errors import ConfigError, FormatError
from lava_mlsnn.lava.network import Network
from lava_mlsnn.proc import Record, Stream
from netx_export import Dense, Input, MultiLevel, NetworkSpec, Population, Readout

pytestmark = [pytest.mark.lava, pytest.mark.timeout(120)]

STEPS = 12
CUBA = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 40, "refDelay": 1}


@pytest.fixture
def files(tmp_path):
    """Three CUBA layers: a convolution and two dense ones, with an input layer and without."""
    rng = np.random.default_rng(3)
    layers = [
        {
            "type": "conv",
            "shape": (3, 2, 3),
            "weight": rng.integers(-20, 41, (3, 2, 2, 2)) * 2.0,
            "stride": (2, 1),
            "padding": (0, 0),
            "dilation": (1, 1),
            "groups": 1,
            "kernelSize": (2, 2),
            "inChannels": 2,
            "outChannels": 3,
        },
        {"type": "flatten", "shape": (18,)},
        {"type": "dense", "shape": (7,), "weight": rng.integers(-20, 41, (7, 18)) * 2.0},
        {"type": "dense", "shape": (5,), "weight": rng.integers(-20, 41, (5, 7)) * 2.0},
    ]
    for layer in layers[2:]:
        layer["outFeatures"], layer["inFeatures"] = layer["weight"].shape
    bias = {2: rng.integers(5, 20, 7)}  # membranes that move without a spike
    paths = {}
    for name, first in (("input", [{"type": "input", "shape": (2, 4, 4)}]), ("bare", [])):
        paths[name] = tmp_path / f"{name}.net"
        with h5py.File(paths[name], "w") as file:
            for index, layer in enumerate([*first, *layers]):
                group = file.create_group(f"layer/{index}")
                for key, value in layer.items():
                    if key != "type":
                        group[key] = np.array(value)
                group.create_dataset("type", (1,), "S10", layer["type"].encode("ascii"))
                if "weight" in layer:
                    for key, value in CUBA.items():
                        group[f"neuron/{key}"] = value
                if index - len(first) in bias:
                    group["bias"] = bias[index - len(first)]
    return paths


def spikes(net, shape):
    """What leaves a network in every timestep, binary samples entering from timestep 1 on."""
    x = np.random.default_rng(5).integers(0, 2, (STEPS, *shape))
    source = Stream(data=x)
    sink = Record(shape=net.out.shape, steps=STEPS)
    source.s_out.connect(net.inp)
    net.out.connect(sink.a_in)
    try:
        net.run(RunSteps(STEPS), Loihi2SimCfg(select_tag="fixed_pt"))
    finally:
        net.stop()
    return sink.data


CASES = {
    "the first layers": ("input", {"num_layers": 4}, (4, 4, 2)),
    "the layers in the middle": ("input", {"num_layers": 4, "skip_layers": 2}, (3, 2, 3)),
    "no input layer": ("bare", {"num_layers": 3, "input_shape": (4, 4, 2)}, (4, 4, 2)),
    "a phase of resets": ("input", {"reset_interval": 4, "reset_offset": 2}, (4, 4, 2)),
}


@pytest.mark.parametrize("case", CASES)
def test_they_give_the_spikes_of_lava_dls_own_loader(files, case):
    name, arguments, shape = CASES[case]
    if "skip_layers" in arguments:  # there a flatten in front of what is kept is lost
        arguments, shape = {**arguments, "skip_layers": 3}, (18,)
    ours = Network(files[name], **arguments)
    theirs = hdf5.Network(str(files[name]), **arguments)
    assert (len(ours), ours.out.shape) == (len(theirs), theirs.out.shape)
    assert ours.inp.shape == theirs.inp.shape
    assert ours.output_message_bits == theirs.output_message_bits
    assert [layer.shape for layer in ours.layers] == [layer.shape for layer in theirs.layers]
    found = spikes(ours, shape)
    np.testing.assert_array_equal(found, spikes(theirs, shape))
    assert found.any()


def test_the_order_of_arguments_is_lava_dls(files):
    path = files["bare"]
    net = Network(path, 3, 0, 0, (4, 4, 2), 4, 1, 7, False)
    assert (len(net), net.reset_interval, net.input_delay, net.spike_exp) == (2, 4, 0, 7)


def own():
    neuron = MultiLevel(3, [4], [0])
    return NetworkSpec(
        (
            Input((4,), 7),
            Population("a", (3,), (Dense(0, np.ones((3, 4), int)),), neuron),
            Population("b", (2,), (Dense(1, np.ones((2, 3), int)),), Readout()),
        ),
        timesteps=2,
    )


def test_layers_of_our_own_networks():
    net = Network(own(), reset_interval=2)
    assert len(net) == net.latency == 2 and net.output_message_bits == 24
    first, last = net.layers
    assert (first.name, first.shape, first.output_message_bits) == ("a", (3,), 8)
    assert first.out is net.probe("a") and last.neuron.v is net.state("b")
    assert Network(own(), 2).out.shape == (3,) and Network(own(), None, 2).inp.shape == (3,)


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"reset_interval": 3}, "reset_interval must be T = 2"),
        ({"reset_offset": 0}, "say input_delay"),
        ({"sparse_fc_layer": True}, "sparse_fc_layer=True has no counterpart"),
        ({"input_shape": (5,)}, r"input_shape = \(5,\) is not what enters"),
        ({"input_delay": -1}, "input_delay must be a whole number"),
        ({"num_layers": 1}, "must hold neurons"),
        ({"target": "gpu"}, "target must be one of"),
    ],
)
def test_what_a_network_of_ours_cannot_follow(arguments, says):
    with pytest.raises(ConfigError, match=says):
        Network(own(), **arguments)


def test_a_layer_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ConfigError, match="no layer 'c'; it has a, b"):
        Network(own(), timesteps=3).probe("c")


def test_what_a_file_of_lava_dl_cannot_follow(files):
    with pytest.raises(ConfigError, match="in two ways"):
        Network(files["input"], reset_offset=1, input_delay=1)
    with pytest.raises(ConfigError, match="is not what the file says"):
        Network(files["input"], input_shape=(4, 4, 3))
    with pytest.raises(FormatError, match="give it as input_shape"):
        Network(files["bare"])
