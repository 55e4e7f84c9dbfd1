"""Max pooling of bytes in C: torch's own, ties and gradients included."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.native import compiled, kernels, pools
from lava_mlsnn.neuron import pooled
from lava_mlsnn.neuron.payloads import bytes_of, note_bytes
from lava_mlsnn.neuron.pooled import max_pooled

ONE, NONE = (1, 1), (0, 0)
needs_compiler = pytest.mark.skipif(compiled.library() is None, reason="no C compiler (cc)")


def payloads(shape, levels, dtype=torch.float32):
    """Of a neuron, with their bytes, some of them outside the window."""
    x = torch.randint(0, levels + 1, shape).to(dtype).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    outside = torch.randint(0, 2, shape, dtype=torch.int8) * -128
    note_bytes(
        x, (x.detach().to(torch.int8) | outside).contiguous(memory_format=torch.channels_last)
    )
    return x


def both(x, kernel, stride=None, padding=NONE, dilation=ONE, ceil_mode=False):
    """Ours with its gradient, torch's with its."""
    stride = stride or kernel
    found = []
    for pool in (max_pooled, F.max_pool2d):
        z = pool(x, kernel, stride, padding, dilation, ceil_mode)
        upstream = torch.arange(1.0, z.numel() + 1).reshape(z.shape).to(z.dtype)
        found.append((z, *torch.autograd.grad(z, x, upstream)))
    return found


@needs_compiler
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_windows_side_by_side_are_pooled_as_torch_does(data):
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    kernel = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    sizes = [data.draw(st.integers(1, 4)) * k for k in kernel]
    shape = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 70)), *sizes
    x = payloads(
        shape, data.draw(st.sampled_from([1, 4, 127])), data.draw(st.sampled_from(kernels.WORDS))
    )
    with mock.patch.object(pools, "pool", wraps=pools.pool) as used:
        (z, grad), (right, grad_right) = both(x, kernel)
    assert used.called
    assert torch.equal(z, right) and z.dtype == right.dtype
    assert torch.equal(grad, grad_right) and grad.dtype == x.dtype
    assert torch.equal(bytes_of(z).to(z.dtype), z)


@needs_compiler
def test_a_gradient_of_any_layout_and_any_number_of_threads():
    x = payloads((3, 5, 8, 8), 4)
    z = max_pooled(x, (2, 2), (2, 2), NONE, ONE, False)
    upstream = torch.randn(5, 3, 4, 4).transpose(0, 1)
    (grad,) = torch.autograd.grad(z, x, upstream, retain_graph=True)
    (right,) = torch.autograd.grad(F.max_pool2d(x, 2), x, upstream)
    with mock.patch.object(kernels.Layout, "threads", 7):
        (threads,) = torch.autograd.grad(z, x, upstream)
        again = max_pooled(x, (2, 2), (2, 2), NONE, ONE, False)
    assert torch.equal(grad, right) and torch.equal(threads, right) and torch.equal(again, z)


@pytest.mark.parametrize(
    "window",
    [
        {"kernel": (2, 2), "stride": (1, 2)},
        {"kernel": (3, 3), "stride": (3, 3), "padding": (1, 1)},
        {"kernel": (2, 2), "dilation": (2, 1)},
        {"kernel": (4, 4), "ceil_mode": True},
        {"kernel": (4, 2)},
    ],
)
def test_other_windows_are_left_to_torch_and_hand_bytes_on(window):
    x = payloads((2, 3, 6, 6), 4)
    with mock.patch.object(pools, "pool", wraps=pools.pool) as used:
        (z, grad), (right, grad_right) = both(x, **window)
    assert not used.called
    assert torch.equal(z, right) and torch.equal(grad, grad_right)
    assert torch.equal(bytes_of(z).to(z.dtype), z)


@needs_compiler
def test_hooks_of_saved_tensors_a_default_device_and_no_gradients_change_nothing():
    x = payloads((3, 5, 8, 8), 4)
    z = F.max_pool2d(x, 2)
    (right,) = torch.autograd.grad(z, x, torch.ones_like(z))
    pooled._is_right.cache_clear()
    with torch.no_grad():
        assert torch.equal(max_pooled(x, (2, 2), (2, 2), NONE, ONE, False), z)
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: t.contiguous(), lambda t: t)
    with torch.device("meta"), hooks:
        found = max_pooled(x, (2, 2), (2, 2), NONE, ONE, False)
        (grad,) = torch.autograd.grad(found, x, torch.ones_like(found))
    assert torch.equal(found, z) and torch.equal(grad, right)


def test_what_has_no_bytes_is_torchs_alone():
    x = torch.randn(2, 3, 4, 4).requires_grad_()
    (z, grad), (right, grad_right) = both(x, (2, 2))
    assert bytes_of(z) is None and torch.equal(z, right) and torch.equal(grad, grad_right)
