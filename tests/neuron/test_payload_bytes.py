"""Payloads that backward keeps as bytes: the same gradients, and only where they say the same."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.neuron import payloads
from lava_mlsnn.neuron.surrogate import spikes_over_time
from lava_mlsnn.population import convolved
from lava_mlsnn.population.synapses import conv
from lava_mlsnn.slayer import block


def sent(levels=4, timesteps=1, **options):
    """Payloads of every size and kind, membranes inside the window and outside."""
    a = torch.linspace(-3, levels + 3, 6 * 2 * 4 * 5).reshape(6, 2, 4, 5).repeat(timesteps, 1, 1, 1)
    a = a.contiguous(memory_format=torch.channels_last).unflatten(0, (timesteps, 6))
    return spikes_over_time([a.requires_grad_()], torch.tensor(1.0), None, levels, **options)


@pytest.mark.parametrize("levels", [1, 4, 127, 128])
@pytest.mark.parametrize("surrogate", ["ste", "ste_wide", "sigmoid"])
def test_bytes_hold_every_payload_up_to_127(levels, surrogate):
    z = sent(levels, 2, surrogate=surrogate)
    for view in (z, z.movedim(0, -1), z.flatten(0, 1), z[1], z[:, 2:4]):
        code = payloads.bytes_of(view)
        assert (code is None) == (levels == 128)
        if code is not None:
            assert code.stride() == view.stride()
            assert torch.equal(payloads.payloads(code, torch.float32), view)


def test_what_is_not_the_noted_memory_as_it_was_has_no_bytes():
    z = sent()
    for other in (z * 1, z.clone(), z.detach().double(), z.view(torch.int32), torch.ones(3)):
        assert payloads.bytes_of(other) is None
    with torch.no_grad():
        assert payloads.bytes_of(z) is not None
        z[0, 0] += 1
    assert payloads.bytes_of(z) is None
    with torch.no_grad():
        assert payloads.bytes_of(sent()) is None  # nothing will ask for a gradient


@given(
    st.sampled_from([1, 4, 127]),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.integers(1, 2),
    st.sampled_from([1, 2]),
    st.integers(0, 2**31),
)
@settings(max_examples=15, deadline=None)
def test_gradients_are_those_of_torchs_own_convolution(
    levels, steps, reduced, stride, groups, seed
):
    torch.manual_seed(seed)
    params = {"levels": levels, "threshold": 0.5}
    net = torch.nn.Sequential(
        block.Conv(params, 3, 4, 3, padding=1, input_size=(6, 5)),
        block.Conv(params, 4, 6, 3, stride, 1, groups=groups, input_size=(6, 5)),
    )
    x = torch.rand(4, 3, 6, 5, steps)
    results = []
    for known in (True, False):
        twin, inputs = copy.deepcopy(net), x.clone().requires_grad_()
        with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", enabled=reduced):
            calls = []
            real = conv.convolved
            patch.setattr(conv, "convolved", lambda *a: calls.append(1) or real(*a))  # noqa: B023
            patch.setattr(convolved, "_sums_bytes", lambda: False)
            if not known:
                patch.setattr(conv, "bytes_of", lambda x: None)
            y = twin(inputs)
        assert len(calls) == known
        torch.manual_seed(seed)
        y.backward(torch.randn(y.shape).to(y.dtype))
        results.append([y.detach(), inputs.grad, *(p.grad for p in twin.parameters())])
    for a, b in zip(*results, strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)


@pytest.mark.parametrize("levels", [4, 127, 128])
def test_a_max_pool_sends_bytes_where_bytes_come(levels):
    pool = block.MaxPool((2, 4, 5), 3, 2, 1, payload_max=levels).train()
    z = sent(levels)[0]
    y = pool(z[..., None])
    assert torch.equal(y[..., 0], torch.nn.functional.max_pool2d(z, 3, 2, 1))
    code = payloads.bytes_of(y)
    assert (code is None) == (levels == 128)
    if code is not None:
        assert torch.equal(payloads.payloads(code, torch.float32), y)
    assert payloads.bytes_of(pool((z * 0.5)[..., None])) is None  # no payloads
