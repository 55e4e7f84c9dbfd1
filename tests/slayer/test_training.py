"""Blocks learn, alone and next to lava-dl's own, and evaluate as they are exported."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import assert_same_integers, images, warm

from lava_mlsnn.choices import SURROGATES
from lava_mlsnn.slayer import block, precision
from lava_mlsnn.slayer.block import BARRIERS


def fit(model, x, y, steps=60, lr=0.05):
    """First and last loss of a small regression."""
    optimiser = torch.optim.Adam(model.parameters(), lr)
    losses = []
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(model(x)[..., -1], y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses[0], sum(losses[-5:]) / 5


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("timesteps", [1, 2])
def test_the_loss_goes_down(surrogate, timesteps):
    torch.manual_seed(0)
    p = {"levels": 4, "surrogate": surrogate, "train_threshold": True}
    model = torch.nn.Sequential(
        block.Input((6,), 15, 15.0), block.Dense(p, 6, 16), block.Output(16, 2)
    )
    x = torch.from_numpy(images((6,), 64))[..., None].expand(64, 6, timesteps)
    y = (x[:, 0, 0] > x[:, 1, 0]).long()
    before = float(model[1].neuron.threshold)
    first, last = fit(model, x, y)
    assert last < 0.5 * first
    assert float(model[1].neuron.threshold) != before
    model.eval()
    right = (model(x)[..., -1].argmax(1) == y).float().mean()
    assert right > 0.85


@pytest.mark.parametrize("barrier", BARRIERS)
def test_every_parameter_of_a_residual_block_gets_a_gradient(barrier):
    torch.manual_seed(0)
    for out, stride, convolutions in ((3, 1, 2), (6, 2, 2), (6, 2, 1)):
        made = block.Residual(
            {"levels": 4, "train_threshold": True},
            (3, 6, 6),
            out,
            stride,
            barrier=barrier,
            shortcut_neuron=barrier == "integrating",
            convolutions=convolutions,
            payload_max=4,
        )
        x = torch.rand(4, 3, 6, 6, 2, requires_grad=True) * 4
        made.train()
        made(x).square().sum().backward()
        for name, parameter in made.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, (out, name)


@st.composite
def conv_networks(draw):
    """Input, convolution, perhaps a pool, dense and output, with drawn geometry."""
    channels = draw(st.sampled_from([1, 2, 4]))
    size = (draw(st.integers(3, 8)), draw(st.integers(3, 8)))
    groups = draw(st.sampled_from([g for g in (1, 2) if channels % g == 0]))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    p = {
        "levels": draw(st.sampled_from([1, 2, 4, 15])),
        "threshold": draw(st.sampled_from([1.0, 0.6])),
        "v0": draw(st.sampled_from(["floor", "round"])),
    }
    signed = draw(st.booleans())
    blocks = OrderedDict()
    blocks["input"] = block.Input((channels, *size), 15, 15.0, signed=signed)
    blocks["conv"] = last = block.Conv(
        p,
        channels,
        2 * groups,
        kernel,
        (draw(st.integers(1, 2)), draw(st.integers(1, 3))),
        (draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        (draw(st.integers(1, 2)), 1),
        groups,
        input_size=size,
        norm=draw(st.booleans()),
    )
    pool = draw(st.sampled_from(["", "sum", "neuron"]))
    if pool:
        window = (min(2, last.shape[1]), 1)
        params = None if pool == "sum" else p
        blocks["pool"] = last = block.Pool(params, last.shape, window, payload_max=last.payload_max)
    blocks["flatten"] = last = block.Flatten(last.shape)
    blocks["dense"] = block.Dense(p, last.shape[0], 4, norm=draw(st.booleans()))
    blocks["output"] = block.Output(4, 3)
    return torch.nn.Sequential(blocks), (channels, *size), draw(st.sampled_from([1, 2, 4])), signed


@given(conv_networks(), st.integers(0, 1000))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_integer_forward_is_the_runner_for_drawn_blocks(drawn, seed):
    model, shape, timesteps, signed = drawn
    x = images((*shape, timesteps), 5, seed, low=-1.0 if signed else 0.0)
    warm(model, x, seed=seed)
    assert_same_integers(model, x, timesteps)


def test_float32_data_and_float64_data_enter_alike():
    """A sample next to a rounding edge: each side must round what it was given."""
    model = torch.nn.Sequential(
        OrderedDict(input=block.Input((4,), 127, 127.0), output=block.Output(4, 2))
    )
    edge = (torch.arange(4).double() + 0.5) / 127
    x = torch.stack([edge, edge - 1e-12, edge + 1e-12])
    assert_same_integers(model.eval(), x.numpy(), 1)
    assert_same_integers(model.eval(), x.float().numpy(), 1)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("neighbour", ["cuba", "sigma_delta"])
def test_blocks_stand_next_to_lava_dl_s_own(neighbour):
    slayer = pytest.importorskip("lava.lib.dl.slayer")
    torch.manual_seed(0)
    ours = block.Dense({"levels": 4}, 6, 8, norm=False)
    if neighbour == "cuba":
        params = {"threshold": 0.5, "current_decay": 0.5, "voltage_decay": 0.5}
        theirs = slayer.block.cuba.Dense(params, 8, 5)
    else:
        params = {"threshold": 0.1, "activation": torch.nn.functional.relu}
        theirs = slayer.block.sigma_delta.Dense(params, 8, 5)
    tail = block.Output(5, 2)
    model = torch.nn.Sequential(ours, theirs, tail)
    x = torch.rand(4, 6, 5) * 4
    y = model(x)
    assert y.shape == (4, 2, 5)
    y[..., -1].square().sum().backward()
    for part in (ours.synapse.weight, theirs.synapse.weight, tail.synapse.weight):
        assert part.grad is not None and torch.isfinite(part.grad).all()
    assert theirs.synapse.weight.grad.abs().sum() > 0
    with precision(model.eval(), "float"):
        assert model(x).shape == (4, 2, 5)


def test_autocast_and_lower_matmul_precision_leave_the_integers_alone():
    torch.manual_seed(0)
    model = block.Conv({"levels": 15}, 3, 4, 3, input_size=6)
    x = torch.randint(0, 128, (4, 3, 6, 6, 2)).float()
    model.train()
    model(x)
    wanted = model.eval()(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model(x), wanted)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert torch.equal(model(x), wanted)
    finally:
        torch.set_float32_matmul_precision(before)
