"""A block of a user's own is taken at its word: what it must say, and what tells that it lied."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from lava_mlsnn import check_parity, encode
from lava_mlsnn.errors import ConfigError, DataError, ParityError, UnsupportedLayerError
from lava_mlsnn.slayer import block
from netx_export import Identity, MultiLevel, Population, read, to_spec

SHAPE = (2, 3, 3)


class Halves(torch.nn.Module):
    """``clip(floor((x + 1) / 2), 0, 4)``, as a population of its own."""

    shape = SHAPE

    def forward(self, x):
        return torch.clip(torch.floor((x + 1) / 2), 0, 4)

    def layers(self, builder, name, source):
        c = np.ones(self.shape[0], int)
        synapse, neuron = Identity(source, 2 * c), MultiLevel(4, 4 * c, 0 * c)
        return builder.add(Population(name, self.shape, (synapse,), neuron, bias=2 * c))


class Liar(Halves):
    def forward(self, x):
        return torch.clip(x, 0, 4)

    layers = Halves.layers


def around(own):
    torch.manual_seed(0)
    inside = (own, block.Flatten(SHAPE, 4), block.Dense({"levels": 4}, 18, 5), block.Output(5, 3))
    model = torch.nn.Sequential(block.Input(SHAPE, levels=15, gain=15.0), *inside).train()
    for _ in range(3):
        model(torch.rand(16, *SHAPE, 1))
    return model.eval()


def test_an_honest_block_agrees_and_a_liar_is_caught_at_the_layer_behind():
    x = np.random.default_rng(0).random((6, *SHAPE))
    model = around(Halves())
    report = check_parity(to_spec(model), x, model=model)
    # its own integers are not compared, and not said to be
    assert report.count == 0 and report.layers == ["0", "3", "4"]
    model = around(Liar())
    report = check_parity(to_spec(model), x, model=model)
    assert report.count and report.differences[0].layer == "3"


WRONG = {
    # layers(builder, name, source), and what is said
    "no population": (
        lambda b, n, s: b.population(n, object(), s),
        "layer '1': builder.population",
    ),
    "a block": (lambda b, n, s: b.population(n, block.Dense({}, 4, 4), s), "got Dense"),
    "no layer": (lambda b, n, s: b.add(object()), "builder.add takes a layer of netx_export.spec"),
    "nothing returned": (lambda b, n, s: None, "layer '1': layers must return the index"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_layers_that_cannot_be(wrong):
    layers, says = WRONG[wrong]
    model = around(Halves())
    model[1].__class__ = type(
        "Own",
        (Halves,),
        {"forward": Halves.forward, "layers": lambda self, b, n, s: layers(b, n, s)},
    )
    with pytest.raises(ConfigError, match=says):
        to_spec(model)


@pytest.mark.parametrize("shape", [None, 18, (3, 3), (0, 3, 3)])
def test_a_block_must_say_its_shape(shape):
    model = around(Halves())
    model[1].shape = shape
    with pytest.raises(UnsupportedLayerError, match=r"'1'.*: Halves must say what it sends"):
        to_spec(model)


def test_a_model_without_an_input_is_told_how_one_looks():
    with pytest.raises(UnsupportedLayerError, match=r"such as block\.Input\(\(C, H, W\), levels"):
        to_spec(torch.nn.Sequential(block.Dense({}, 4, 4), block.Output(4, 2)))


def test_a_difference_of_spikes_is_refused_with_what_can_be_done():
    class Less(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.input = block.Input((4,), levels=4, gain=4.0)
            self.a, self.b = block.Dense({}, 4, 4), block.Dense({}, 4, 4)
            self.score = block.Output(4, 2)

        def forward(self, x):
            x = self.input(x)
            return self.score(self.a(x) - self.b(x))

    with pytest.raises(UnsupportedLayerError, match="subtracts; only sums of two blocks' spikes"):
        to_spec(Less(), timesteps=1)


def test_a_file_written_block_by_block_says_how_to_go_on(tmp_path):
    model = torch.nn.Sequential(block.Dense({"levels": 4}, 4, 5), block.Output(5, 3)).train()
    for _ in range(3):
        model(torch.rand(16, 4, 1))
    model.eval()
    with h5py.File(tmp_path / "bare.net", "w") as file:
        for k, part in enumerate(model):
            part.export_hdf5(file.create_group(f"layer/{k}"))
    spec = read(tmp_path / "bare.net")
    with pytest.raises(DataError, match=r"for a network of these blocks, begin with block\.Input"):
        encode(spec, np.full((1, 4), 0.5))
    whole = torch.nn.Sequential(block.Input((4,), levels=1), *model).eval()
    with pytest.raises(ParityError, match=r"has other names: compare with to_spec\(model\)"):
        check_parity(spec, np.ones((1, 4)), model=whole)
