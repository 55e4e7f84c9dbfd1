"""The forward of a training in 8 bits: the sums of floats, and what is not finite shows."""

from __future__ import annotations

import copy
import math
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.models import ModelConfig, build_model
from lava_mlsnn.population import convolved
from lava_mlsnn.slayer import block

works = pytest.mark.skipif(not convolved._sums_bytes(), reason="no 8-bit convolution here")


def two_blocks(norm=True, **options):
    return torch.nn.Sequential(
        block.Conv({"levels": 4}, 3, 5, 3, padding=1, input_size=(7, 6), norm=norm),
        block.Conv({"levels": 127}, 5, 4, 3, input_size=(7, 6), norm=norm, **options),
    ).train()


@works
@given(
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.sampled_from([0.02, 1.0, 300.0]),
    st.integers(0, 2**31),
)
@settings(max_examples=12, deadline=None)
def test_currents_and_gradients_are_those_of_floats(stride, dilation, steps, reduced, scale, seed):
    torch.manual_seed(seed)
    net = two_blocks(stride=stride, dilation=dilation, weight_scale=scale)
    net[1].synapse.norm.weight.data.neg_()
    x = torch.rand(4, 3, 7, 6, steps) * 3
    results = []
    for bytes_ in (True, False):
        twin, currents = copy.deepcopy(net), []
        watch = lambda m, i, o: currents.append(i[0].detach().float())  # noqa: E731, B023
        twin[1].synapse.norm.register_forward_hook(watch)
        with (
            mock.patch.object(convolved, "_sums_bytes", lambda: bytes_),  # noqa: B023
            mock.patch.object(convolved, "_in_bytes", wraps=convolved._in_bytes) as called,
            torch.autocast("cpu", torch.bfloat16, enabled=reduced),
        ):
            y = twin(x)
        assert called.call_count == bytes_
        y.float().square().mean().backward()
        results.append((currents[0], [p.grad for p in twin.parameters()]))
    (a, grads), (b, others) = results
    ulp = 2**-7 if reduced else 1e-5
    assert float((a - b).abs().max()) <= ulp * float(b.abs().max())
    assert all(
        g.dtype == h.dtype and g.shape == h.shape for g, h in zip(grads, others, strict=True)
    )


@works
def test_the_sums_are_exactly_those_of_the_exported_integers():
    torch.manual_seed(0)
    net, found = two_blocks(), []
    real = convolved._in_bytes

    def keep(code, steps, *rest):
        found.append((code, steps, real(code, steps, *rest)))
        return found[-1][2]

    population = net[1].population
    with mock.patch.object(convolved, "_in_bytes", keep):
        grids = population.integers()
        net(torch.rand(4, 3, 7, 6, 1))
    code, steps, y = found[0]
    ints = grids.weights[0]
    assert torch.equal(steps.steps.double() * population.scaling.step, ints)
    sums = torch.nn.functional.conv2d((code & 127).double(), steps.steps.double())
    assert torch.equal(y, sums.float() * steps.unit.reshape(-1, 1, 1))


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["image", "weight", "bias"])
def test_what_is_not_finite_reaches_the_loss(norm, bad, where):
    """Bytes hold no NaN: where one may be, the floats go on."""
    torch.manual_seed(0)
    net = two_blocks(norm)
    net.append(block.Flatten(net[1].shape, 127))
    net.append(block.Output(4 * 5 * 4, 2))
    net.train()
    x = torch.rand(4, 3, 7, 6, 1)
    synapse = net[0].synapse
    with torch.no_grad():
        if where == "image":
            x[1, 1, 2, 2] = bad
        elif where == "weight":
            synapse.weight[1, 1, 1, 1] = bad
        else:
            (synapse.norm.bias if norm else synapse.bias)[1] = bad
    plain = copy.deepcopy(net)
    with mock.patch.object(convolved, "_sums_bytes", lambda: False):
        wanted = plain(x)
    assert torch.equal(net(x).isfinite(), wanted.isfinite())


def test_a_machine_without_such_convolutions_computes_in_floats():
    model = build_model(ModelConfig(width=2, input_shape=(1, 6, 5))).train()
    x = torch.rand(4, 1, 6, 5)
    convolved._sums_bytes.cache_clear()
    try:
        with mock.patch.object(convolved, "_in_bytes", side_effect=RuntimeError("no such")):
            assert not convolved._sums_bytes()
            assert model(x).isfinite().all()
    finally:
        convolved._sums_bytes.cache_clear()
