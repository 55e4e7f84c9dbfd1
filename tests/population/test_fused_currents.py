"""Neurons that scale and sum their currents themselves: BatchNorm, sums and neuron, bit by bit."""

from __future__ import annotations

import contextlib
import copy
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.choices import SURROGATES
from lava_mlsnn.neuron import currents, loops
from lava_mlsnn.population import population
from lava_mlsnn.slayer import block
from lava_mlsnn.slayer.block import BARRIERS
from lava_mlsnn.training import EventPenalty

IMAGE = (2, 6, 5)
BLOCKS = {
    "conv": lambda p: block.Conv(p, 2, 4, 3, padding=1, input_size=(6, 5)),
    "bias": lambda p: block.Conv(p, 2, 4, 3, input_size=(6, 5), norm=False),
    "pool": lambda p: block.Pool(p, IMAGE, 2, payload_max=4),
    "transposed": lambda p: block.ConvT(p, 2, 3, 2, stride=2, input_size=(6, 5)),
    **{
        f"{barrier}, stride {stride}": lambda p, b=barrier, s=stride: block.Residual(
            p, IMAGE, 2 * s, s, barrier=b, payload_max=4
        )
        for barrier in BARRIERS
        for stride in (1, 2)
    },
}


@st.composite
def cases(draw):
    """A block, T, and what its neurons are like."""
    params = {
        "levels": draw(st.sampled_from([1, 4, 300])),
        "threshold": draw(st.sampled_from([1.0, 0.7])),
        "v0": draw(st.sampled_from(["floor", "round"])),
        "surrogate": draw(st.sampled_from(SURROGATES)),
        "train_threshold": draw(st.booleans()),
        "detach_reset": draw(st.booleans()),
    }
    if params["surrogate"] == "sigmoid":
        params["levels"] = min(params["levels"], 4)
    name, timesteps = (
        draw(st.sampled_from(sorted(BLOCKS))),
        draw(st.sampled_from([1, 1, 3])),
    )
    torch.manual_seed(draw(st.integers(0, 2**31)))
    made = BLOCKS[name](params).train()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = draw(st.sampled_from([0.1, None]))
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias)
    x = torch.randint(0, 5, (5, *IMAGE, timesteps)).float()
    return made, x, draw(st.sampled_from([1, 64, 1 << 18]))


def loops_of_c(wanted):
    """Whether neurons may take them."""
    return contextlib.nullcontext() if wanted else mock.patch.object(loops, "layout_of", no_layout)


def no_layout(*_):
    return None


def apart(made):
    """A copy whose neurons, sums and BatchNorms are called one by one."""
    twin = copy.deepcopy(made)
    for module in twin.modules():
        if isinstance(module, population.Population) and module.neuron is not None:
            module.neuron.register_forward_hook(lambda *_: None)
    return twin


def trained(made, x, reduced=False):
    """What a step sends, its gradients, and the statistics behind it."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
        z = made(x)
    torch.manual_seed(0)
    z.backward(torch.randn(z.shape).to(z.dtype))
    names = [n for n, _ in made.named_parameters()]
    grads = dict(zip(["x", *names], [x.grad, *(p.grad for p in made.parameters())], strict=True))
    return z.detach(), grads, dict(made.named_buffers())


@given(cases(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_one_pass_over_the_currents_gives_what_batchnorm_sum_and_neuron_give(case, in_c):
    made, x, chunk = case
    twin = apart(made)
    with mock.patch.object(currents, "CHUNK", chunk), loops_of_c(in_c):
        z, grads, buffers = trained(made, x)
    with loops_of_c(False):
        z_apart, grads_apart, buffers_apart = trained(twin, x)
    assert torch.equal(z, z_apart) and z.dtype == torch.float32
    for name, grad in grads.items():
        # the loops of C add up in another order
        far = 1e-4 * float(grads_apart[name].abs().max()) if in_c else 0.0
        assert torch.allclose(grad, grads_apart[name], rtol=0.0, atol=far), name
    for name, buffer in buffers.items():
        assert torch.equal(buffer, buffers_apart[name]), name


@given(cases())
@settings(max_examples=40, deadline=None)
def test_under_autocast_the_same_spikes_are_sent_in_16_bits(case):
    """Only gradients are rounded to bfloat16 between the layers.

    And the last bits of a variance, where torch does not make maps channels-last.
    """
    made, x, _ = case
    twin = apart(made)
    z, grads, buffers = trained(made, x, reduced=True)
    z_apart, grads_apart, buffers_apart = trained(twin, x, reduced=True)
    assert float((z.float() != z_apart).float().mean()) < 0.01
    for name, buffer in buffers.items():
        assert torch.allclose(buffer, buffers_apart[name], rtol=1e-5, atol=1e-6), name
    assert all(g.dtype == torch.float32 for g in grads.values())
    flat, flat_apart = (torch.cat([g.flatten() for g in d.values()]) for d in (grads, grads_apart))
    assert float((flat - flat_apart).norm()) <= 0.1 * float(flat_apart.norm()) + 0.02


@pytest.mark.parametrize("levels", [256, 257])
def test_payloads_and_their_sums_stay_exact_under_autocast(levels):
    conv = block.Conv({"levels": levels}, 1, 1, 1, input_size=4, norm=False, weight_scale=1e3)
    pool = block.Pool(None, (1, 4, 4), 4, payload_max=levels)
    fired = block.Pool({"levels": levels, "threshold": 1 / 16}, (1, 4, 4), 4, payload_max=levels)
    with torch.no_grad():
        conv.synapse.weight.fill_(1.0)
    x = torch.randint(0, 128, (3, 1, 4, 4, 2)).float()
    x[0] = 255
    with torch.autocast("cpu", torch.bfloat16):
        z = conv.train()(x)
        sums, spikes = pool.train()(z), fired.train()(z)
    assert z.dtype == (torch.bfloat16 if levels == 256 else torch.float32)
    assert torch.equal(z.float(), x)
    assert sums.dtype == torch.float32
    wanted = x.sum((2, 3), keepdim=True)
    assert torch.equal(sums, wanted) and torch.equal(spikes.float(), wanted.clamp_max(levels))


def test_a_watched_part_is_called_by_itself_and_a_penalty_is_no_reason_for_that():
    calls = []
    made = block.Residual({"levels": 4}, IMAGE, 2, payload_max=4).train()
    x = torch.rand(4, *IMAGE, 1)
    real = population.affine_current
    with mock.patch.object(population, "affine_current", lambda *a: calls.append(1) or real(*a)):
        made(x)
        assert len(calls) == 3
        EventPenalty(made)
        made(x)
        assert len(calls) == 6
        seen = []
        made.conv2.synapses[0].norm.register_forward_hook(lambda m, i, o: seen.append(o.shape))
        made(x)
        assert len(calls) == 7 and seen == [(4, *IMAGE)]
        made.eval()(x)
        assert len(calls) == 7


def test_a_single_value_a_channel_is_refused_in_torchs_words():
    made = block.Conv({"levels": 4}, 2, 3, 1, input_size=1).train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        made(torch.rand(1, 2, 1, 1, 1))


@given(st.sampled_from([1, 4]), st.booleans(), st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_one_node_has_the_gradients_of_the_expression_it_stands_for(levels, changes, seed):
    """Convolution, BatchNorm, shortcut and staircase in torch's own operators, T = 1."""
    torch.manual_seed(seed)
    made = block.Residual({"levels": levels}, IMAGE, 2 + 2 * changes, 1 + changes, payload_max=4)
    made = made.double().train()
    x = torch.randint(0, 5, (5, *IMAGE)).double().requires_grad_()

    def staircase(u):
        soft = u.where((u >= 0) & (u <= levels), u.detach())
        return soft + (u.clamp(0, levels).floor() - soft).detach()

    def synapse(part, index, x):
        s = part.synapses[index]
        if s.weight is None:
            return x
        grid = s.weight + (grids[part][index] - s.weight).detach()
        y = torch.nn.functional.conv2d(x, grid, None, s.stride, s.padding)
        norm = s.norm.weight, s.norm.bias, True, 0.1, s.norm.eps
        return torch.nn.functional.batch_norm(y, None, None, *norm)

    grids = {part: part._training_weights() for part in (made.conv1, made.conv2)}
    hidden = staircase(synapse(made.conv1, 0, x))
    plain = staircase(synapse(made.conv2, 0, hidden) + synapse(made.conv2, 1, x))
    fused = made(x[..., None])
    assert torch.equal(fused[..., 0], plain)
    wanted = [x, *made.parameters()]
    direction = torch.randn(plain.shape).double()
    both = [
        torch.autograd.grad(y, wanted, g, allow_unused=True)
        for y, g in ((fused, direction[..., None]), (plain, direction))
    ]
    for a, b in zip(*both, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)
