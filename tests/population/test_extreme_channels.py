"""Channels of extreme gain: what is exported fits, computes what the forward does, and is said."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import assert_same_integers

from lava_mlsnn.export import export_model, scale_losses, to_spec
from lava_mlsnn.parity import check_parity
from lava_mlsnn.slayer import block
from netx_export import read, worst_case

torch.set_num_threads(1)
P = {"levels": 4}


def model(residual, seed=0):
    torch.manual_seed(seed)
    second = (
        block.Residual(P, (4, 5, 4), 4, payload_max=4)
        if residual
        else block.Conv(P, 4, 4, 3, padding=1, input_size=(5, 4))
    )
    made = torch.nn.Sequential(
        block.Input((2, 5, 4), levels=15, gain=15.0),
        block.Conv(P, 2, 4, 3, padding=1, input_size=(5, 4)),
        second,
        block.Flatten((4, 5, 4)),
        block.Dense(P, 80, 6, norm=True),
        block.Output(6, 3),
    ).train()
    for _ in range(5):
        made(torch.rand(8, 2, 5, 4, 1))
    return made.eval()


def norms(made):
    return [m for m in made.modules() if isinstance(m, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]


def distort(norm, channels, what, value):
    tensor = norm.running_var if what == "variance" else norm.weight
    with torch.no_grad():
        tensor[channels] = value


EXTREMES = [
    ("variance", 0.0), ("variance", 1e-12), ("gamma", 0.0), ("gamma", 1e-12), ("gamma", 1e3),
    ("gamma", 1e6), ("gamma", -1e6), ("gamma", 1e9), ("gamma", 1e12),
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    residual=st.booleans(),
    seed=st.integers(0, 3),
    changes=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([slice(0, 1), slice(1, 3), slice(None)]),
                  st.sampled_from(EXTREMES)), min_size=1, max_size=3),
)  # fmt: skip
def test_any_extreme_exports_and_is_what_the_forward_computes(residual, seed, changes):
    made = model(residual, seed)
    for index, channels, extreme in changes:
        found = norms(made)
        distort(found[index % len(found)], channels, *extreme)
    x = np.random.default_rng(seed).random((4, 2, 5, 4, 1)).astype(np.float32)
    spec = assert_same_integers(made, x)
    assert all(found.fits for found in worst_case(spec))


@pytest.mark.parametrize("residual", [False, True])
def test_scales_fall_only_where_sums_would_not_fit(residual, caplog):
    made = model(residual)
    plain = to_spec(made)
    assert scale_losses(made) == [] and not caplog.records
    distort(norms(made)[1], slice(None), "gamma", 1e6)
    with caplog.at_level(logging.WARNING, "lava_mlsnn.export"):
        changed = to_spec(made)
    (loss,) = scale_losses(made)
    assert loss.channels == loss.of == 4 and loss.bits > 1
    assert loss.inputs == 36 and loss.payload == 4 and loss.drive > 1e4
    assert [str(loss)] == [record.getMessage() for record in caplog.records]
    for before, after in zip(plain.layers, changed.layers, strict=True):
        if before.name != loss.layer and hasattr(before, "synapses"):
            for a, b in zip(before.synapses, after.synapses, strict=True):
                np.testing.assert_array_equal(a.weight, b.weight)


@pytest.mark.parametrize("spikes", [True, False])
def test_many_levels_of_many_inputs_are_named_where_no_gain_is_extreme(spikes):
    last = block.Dense({"levels": 4}, 4096, 2, norm=False) if spikes else block.Output(4096, 2)
    made = torch.nn.Sequential(block.Input((4096,), levels=127, gain=127.0), last)
    for p in made.parameters():
        torch.nn.init.constant_(p, 0.5)
    (loss,) = scale_losses(made.eval(), timesteps=1)
    assert (loss.inputs, loss.payload) == (4096, 127)
    assert loss.drive == (pytest.approx(0.5, rel=0.01) if spikes else None)
    assert "add 4096 inputs of up to 127" in str(loss)
    assert ("with weights of up to 0.5 thresholds" in str(loss)) == spikes


def test_the_other_channels_keep_their_integers():
    made = model(True)
    distort(norms(made)[2], slice(0, 1), "gamma", 1e9)
    spec = to_spec(made)
    (loss,) = scale_losses(made)
    layer = next(p for _, p in spec.populations if p.name == loss.layer)
    # the synapse's exponent is that of the extreme channel: the others have no weight left
    assert loss.channels == loss.of == 4 and loss.left == 0
    assert not layer.synapses[0].weight[1:].any()
    population = made[2].conv2
    population.ceiling = None
    alone = population.integers()
    for synapse, weight in zip(layer.synapses, alone.weights, strict=True):
        np.testing.assert_array_equal(synapse.weight[1:], weight[1:].numpy())
    # what drives the channel a billion times harder than its shortcut leaves nothing of that
    assert layer.synapses[1].weight[0] == 0 and np.all(layer.synapses[1].weight[1:] > 0)


def test_a_coarser_scale_computes_nearly_the_same():
    made = model(False)
    distort(norms(made)[1], slice(None), "variance", 0.0)
    distort(norms(made)[1], slice(None), "gamma", 1e5)
    x = torch.rand(64, 2, 5, 4, 1)
    to_spec(made)
    first = made[:3]
    with torch.no_grad():
        coarse = first(x)
        for population in (made[1].population, made[2].population):
            population.precision = "float"
        exact = first(x)
    assert (coarse != exact).float().mean() < 0.05


def test_a_constant_channel_becomes_a_constant(tmp_path):
    made = model(False)
    distort(norms(made)[1], slice(None), "gamma", 0.0)
    with torch.no_grad():
        norms(made)[1].bias[:] = torch.tensor([2.5, 0.2, -1.0, 100.0])
    assert scale_losses(made) == []  # nothing but zeros was asked for
    export_model(made, tmp_path / "a.net")
    layer = read(tmp_path / "a.net").layers[2]
    assert not layer.synapses[0].weight.any()
    from lava_mlsnn import IntegerRunner

    sent = IntegerRunner(to_spec(made)).trace(np.zeros((1, 2, 5, 4), int)).layers[layer.name]
    assert [int(np.unique(c).item()) for c in sent[0]] == [2, 0, 0, 4]


def test_a_loaded_model_is_compared_as_it_was_exported():
    """The fallen scales are not in the state_dict: they follow from the weights."""
    made, fresh = model(False), model(False, seed=1)
    distort(norms(made)[1], slice(None), "gamma", 1e6)
    spec = to_spec(made)
    fresh.load_state_dict(made.state_dict())
    x = np.random.default_rng(0).random((4, 2, 5, 4, 1))
    assert check_parity(spec, x, model=fresh.eval()).count == 0
