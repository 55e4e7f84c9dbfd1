"""Folding time into the batch: views forward, and gradients that autograd may add into."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.population.layout import fold_time, unfold_time


@given(st.sampled_from([(3, 5), (3, 2, 4, 6)]), st.integers(1, 3), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_folding_and_unfolding_are_undone_by_each_other_gradients_too(shape, timesteps, seed):
    torch.manual_seed(seed)
    x = torch.randn(*shape, timesteps).requires_grad_()
    folded = fold_time(x)
    assert folded.shape == (timesteps * shape[0], *shape[1:])
    assert torch.equal(unfold_time(folded, timesteps), x)
    assert torch.equal(folded.unflatten(0, (timesteps, -1)), x.movedim(-1, 0))
    upstream = torch.randn(folded.shape)
    (grad,) = torch.autograd.grad(folded, x, upstream)
    assert torch.equal(grad, unfold_time(upstream, timesteps))


@pytest.mark.parametrize("timesteps", [1, 2])
def test_a_gradient_that_somebody_holds_is_not_added_into(timesteps):
    x = torch.ones(2, 3, 4, 4, timesteps).requires_grad_()
    source = x * 1.0
    held: list[torch.Tensor] = []
    parts = [fold_time(source) for _ in range(3)]
    for part in parts:
        part.register_hook(held.append)
    sum((part * f).sum() for part, f in zip(parts, (1.0, 10.0, 100.0), strict=True)).backward()
    assert sorted(float(g.unique()) for g in held) == [1.0, 10.0, 100.0]
    assert float(x.grad.unique()) == 111.0


def test_a_second_derivative_is_that_of_views():
    x = torch.randn(2, 3, 2).requires_grad_()
    (first,) = torch.autograd.grad((fold_time(x) ** 3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert torch.allclose(second, 6 * x)
