"""``block.ConvT``: torch's map in training, the exported integers in eval."""

from __future__ import annotations

import copy

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import assert_same

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.export import to_spec
from lava_mlsnn.parity import check_parity
from lava_mlsnn.population.modes import precision
from lava_mlsnn.runner import IntegerRunner
from lava_mlsnn.slayer import block as b
from netx_export import ConvTranspose, read, worst_case
from netx_export.spec.encode import encode
from netx_export.spec.synapses.conv_transpose import swapped

PARAMS = {"threshold": 1.0, "levels": 4}


class Decoder(torch.nn.Module):
    """Encoder, transposed convolution, scores."""

    def __init__(self, **window):
        super().__init__()
        self.input = b.Input((2, 5, 4), 4)
        self.down = b.Conv(PARAMS, 2, 4, 3, 2, 1, input_size=(5, 4))
        size = self.down.shape[1:]
        self.up = b.ConvT(PARAMS, 4, 6, input_size=size, **window)
        self.flat = b.Flatten(self.up.shape)
        self.output = b.Output(self.flat.shape[0], 3)

    def forward(self, x):
        return self.output(self.flat(self.up(self.down(self.input(x)))))


def trained(model, timesteps, steps=3):
    torch.manual_seed(0)
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    model.train()
    for _ in range(steps):
        x = torch.rand(8, 2, 5, 4)
        x = x[..., None].expand(*x.shape, timesteps)
        loss = model(x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert all(p.grad is not None for p in model.parameters())
    return model.eval()


windows = st.fixed_dictionaries(
    {
        "kernel_size": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "stride": st.sampled_from([1, 2, (2, 1)]),
        "dilation": st.sampled_from([1, (1, 2)]),
        "groups": st.sampled_from([1, 2]),
        "norm": st.booleans(),
    }
)


@settings(max_examples=8, deadline=None)
@given(windows, st.sampled_from([1, 2]), st.booleans())
def test_training_exports_the_integers_that_it_computes(window, timesteps, extra):
    if extra and window["stride"] == 2:
        window = {**window, "output_padding": (1, 1)}
    torch.manual_seed(1)
    model = trained(Decoder(**window), timesteps)
    spec = to_spec(model)
    synapse = spec.layers[2].synapses[0]
    assert type(synapse) is ConvTranspose and all(r.fits for r in worst_case(spec))
    assert spec.layers[2].scale.shape == (6,)
    x = np.random.default_rng(2).random((6, 2, 5, 4)).astype(np.float32)
    report = check_parity(spec, x, model=model)
    assert report.count == 0 and report.compared > 0
    payload = encode(spec, x)
    fast = IntegerRunner(spec).trace(payload)
    slow = IntegerRunner(spec, kind="reference").trace(payload)
    for name, values in slow.layers.items():
        np.testing.assert_array_equal(fast.layers[name], values)


@settings(max_examples=20, deadline=None)
@given(windows)
def test_its_map_and_gradient_are_torch_s(window):
    norm = window["norm"]
    torch.manual_seed(3)
    block = b.ConvT(PARAMS, 4, 6, input_size=(3, 2), weight_scale=0.5, **window)
    synapse = block.synapse
    kept = {name: value for name, value in window.items() if name not in ("norm",)}
    other = torch.nn.ConvTranspose2d(4, 6, bias=False, **kept)
    assert other.weight.shape == synapse.weight.shape
    other.load_state_dict({"weight": synapse.weight.detach()})
    x = torch.randn(5, 4, 3, 2)
    y, z = synapse(x), other(x)
    z = copy.deepcopy(synapse.norm).train()(z) if norm else z + synapse.bias.reshape(-1, 1, 1)
    assert y.shape[1:] == block.shape
    torch.testing.assert_close(y, z)
    found = torch.autograd.grad(y.square().sum(), synapse.weight)[0]
    expected = torch.autograd.grad(z.square().sum(), other.weight)[0]
    torch.testing.assert_close(found, expected)


def test_batchnorm_folds_per_output_channel():
    torch.manual_seed(4)
    model = trained(Decoder(kernel_size=2, stride=2, groups=2), 1)
    synapse = model.up.synapse
    weight, bias = synapse.folded()
    x = torch.rand(3, 4, 3, 2)
    folded = torch.nn.functional.conv_transpose2d(x, swapped(weight, 2), bias, stride=2, groups=2)
    torch.testing.assert_close(folded, synapse(x))
    with precision(model, "float"):
        assert model(torch.rand(2, 2, 5, 4, 1)).isfinite().all()


def test_the_start_keeps_the_size_of_activations():
    """One output position of stride 2 meets a quarter of the taps."""
    torch.manual_seed(5)
    x = torch.randn(4, 64, 8, 8)
    for stride in (1, 2):
        block = b.ConvT(PARAMS, 64, 64, 4, stride, input_size=(8, 8), norm=False)
        inner = block.synapse(x)[..., 4:-4, 4:-4]
        assert 1.2 < inner.std() < 1.65  # sqrt(2): He


def test_the_hook_sees_torch_s_weight():
    seen = []

    def hook(weight):
        seen.append(tuple(weight.shape))
        return weight * 0

    block = b.ConvT(PARAMS, 4, 6, 2, groups=2, input_size=3, pre_hook_fx=hook, norm=False)
    assert not block.synapse(torch.rand(1, 4, 3, 3)).any() and set(seen) == {(4, 3, 2, 2)}


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_exchanging_the_channels_twice_changes_nothing(groups):
    weight = np.arange(4 * 3 * 2 * 5).reshape(4, 3, 2, 5)
    once = swapped(weight, groups)
    assert once.shape == (3 * groups, 4 // groups, 2, 5)
    np.testing.assert_array_equal(swapped(once, groups), weight)
    np.testing.assert_array_equal(swapped(torch.from_numpy(weight), groups).numpy(), once)


def test_the_penalty_counts_what_sources_reach():
    block = b.ConvT(PARAMS, 4, 6, 3, 2, groups=2, input_size=(5, 4))
    assert block.synapse.products == 4 * 5 * 4 * 3 * 9


BAD = {
    "output_padding must be below": {"output_padding": 2, "stride": 2},
    "groups must divide": {"groups": 3},
    "does not fit": {"padding": 9},
}


@pytest.mark.parametrize("words", BAD)
def test_wrong_arguments_are_named(words):
    with pytest.raises(ConfigError, match=words):
        b.ConvT(PARAMS, 4, 6, 2, input_size=3, **BAD[words])


def test_a_block_written_by_itself_is_read(tmp_path):
    model = trained(Decoder(kernel_size=2, stride=2, output_padding=(1, 0)), 2)
    with h5py.File(tmp_path / "blocks.net", "w") as file:
        for index, child in enumerate(model.children()):
            child.export_hdf5(file.create_group(f"layer/{index}"))
    found, whole = read(tmp_path / "blocks.net"), to_spec(model)
    assert found.timesteps == 2
    assert_same(found.layers[2].synapses, whole.layers[2].synapses)
