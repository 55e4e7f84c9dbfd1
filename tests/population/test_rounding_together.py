"""Weights of a network that are rounded at once, bit by bit as one population after the other."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lava_mlsnn.choices import BARRIERS
from lava_mlsnn.models import ModelConfig, build_model, module
from lava_mlsnn.population import Population, rounding


def network(seed=0, **options):
    torch.manual_seed(seed)
    model = build_model(ModelConfig(**{"width": 3, "input_shape": (1, 6, 5), **options})).train()
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(part.weight)
            torch.nn.init.normal_(part.bias)
    return model


def populations(model):
    return [m for m in model.modules() if isinstance(m, Population)]


def two_steps(model, x):
    """Scores, gradients and statistics; the second forward sees other weights."""
    optimiser = torch.optim.SGD(model.parameters(), 1e-3)
    found = []
    for _ in range(2):
        optimiser.zero_grad()
        y = model(x)
        y.square().sum().backward()
        found += [y.detach(), *(p.grad.clone() for p in model.parameters())]
        optimiser.step()
    return found + [b.clone() for b in model.buffers()]


@given(
    st.sampled_from(BARRIERS),
    st.sampled_from(["sparse-resnet-small", "sparse-resnet-20"]),
    st.booleans(),
    st.sampled_from([8, 3]),
    st.sampled_from(["", "gone", "steep", "frozen", "alone"]),
    st.integers(0, 2**31),
)
@settings(max_examples=10, deadline=None, phases=[Phase.generate])
def test_together_or_one_by_one_the_numbers_are_the_same(barrier, arch, trains, bits, odd, seed):
    """With a channel off by BatchNorm, a bias beyond all scales, or statistics that are frozen."""
    model = network(seed, arch=arch, barrier=barrier, train_threshold=trains, weight_bits=bits)
    norm = next(m for m in model.blocks.stage1_block1.modules() if hasattr(m, "running_var"))
    with torch.no_grad():
        if odd == "gone":
            norm.weight[1] = 0
        elif odd == "steep":
            norm.bias[1] = 1e9
        elif odd == "frozen":
            norm.eval()
        elif odd == "alone":
            norm.eps = 1e-3
    twin, x = copy.deepcopy(model), torch.rand(4, 1, 6, 5)
    together = two_steps(model, x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "rounded_together", lambda _: contextlib.nullcontext())
        apart = two_steps(twin, x)
    for a, b in zip(together, apart, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)  # a divergence is the same, too


def test_most_of_a_network_is_rounded_together_and_what_a_hook_computes_is_not(monkeypatch):
    model = network()
    sizes = []
    real = rounding.grid_weights
    monkeypatch.setattr(rounding, "grid_weights", lambda p, s: sizes.append(len(p)) or real(p, s))
    model(torch.rand(4, 1, 6, 5))
    spiking = sum(p.neuron is not None for p in populations(model))
    assert sizes == [spiking]
    model.blocks.stem.synapse.pre_hook_fx = lambda w: w * 2
    model.blocks.stage1_block1.conv1.synapses[0].enable_weight_norm()
    model(torch.rand(4, 1, 6, 5))
    assert sizes == [spiking, spiking - 2]
    model.eval()(torch.rand(4, 1, 6, 5))
    assert len(sizes) == 2


def test_no_weight_is_left_over_for_a_later_forward():
    """An error on the way, a part that is called by itself: it rounds what its weight is then."""
    model = network()
    handle = model.blocks.stage2_block1.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(torch.rand(4, 1, 6, 5))
    handle.remove()
    assert all(p.ready is None for p in populations(model))
    twin = copy.deepcopy(model.blocks.stem)
    for stem in (model.blocks.stem, twin):
        stem.synapse.weight.data.neg_()
    x = torch.randint(0, 5, (4, 1, 6, 5, 1)).float()
    assert torch.equal(model.blocks.stem(x), twin(x))
