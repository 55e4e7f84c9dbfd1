"""The torch neuron: its forward is the step function, its gradient what the docs say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.choices import SURROGATES
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.neuron import MultiLevelNeuron, initial_state, multilevel_step
from lava_mlsnn.neuron.surrogate import spike

N, VTH, ALPHA = 4, 0.8, 3.0


def slopes(h, surrogate, levels=N, vth=VTH, alpha=ALPHA):
    """d spike / dh and d spike / dvth of independent values."""
    h = torch.tensor(h, dtype=torch.float64, requires_grad=True)
    theta = torch.full_like(h, vth).requires_grad_()
    spike(h, theta, levels, surrogate, alpha).sum().backward()
    return h.grad.numpy(), theta.grad.numpy()


WINDOWS = {"ste": (0.0, N), "ste_shifted": (0.5, N + 0.5), "ste_wide": (0.0, N + 1)}


@pytest.mark.parametrize("surrogate", WINDOWS)
def test_straight_through_is_one_over_vth_inside_its_window_alone(surrogate):
    low, high = WINDOWS[surrogate]
    u = np.array([low - 1, low - 1e-6, low + 1e-6, 1, 2.3, high - 1e-6, high + 1e-6, high + 3])
    inside = (u >= low) & (u <= high)
    dh, dvth = slopes(u * VTH, surrogate)
    assert np.allclose(dh, inside / VTH)
    assert np.allclose(dvth, -u * inside / VTH)


def test_the_sigmoid_gradient_is_the_derivative_of_the_smooth_staircase():
    def smooth(h, vth):
        k = np.arange(1, N + 1)[:, None]
        return (1 / (1 + np.exp(-ALPHA * (h / vth - k)))).sum(0)

    h, eps = np.linspace(-1, 6, 50), 1e-6
    dh, dvth = slopes(h, "sigmoid")
    assert np.allclose(dh, (smooth(h + eps, VTH) - smooth(h - eps, VTH)) / (2 * eps), atol=1e-7)
    assert np.allclose(dvth, (smooth(h, VTH + eps) - smooth(h, VTH - eps)) / (2 * eps), atol=1e-7)


@given(st.integers(1, 4), st.sampled_from([1, 2, 8]), st.sampled_from(["floor", "round"]))
@settings(max_examples=20, deadline=None)
def test_forward_is_the_step_function_and_starts_every_sample_anew(timesteps, levels, v0):
    x = torch.randn(3, 2, 3, 2, timesteps, generator=torch.Generator().manual_seed(timesteps)) * 3
    neuron = MultiLevelNeuron(0.7, levels, v0)
    v = initial_state(torch.tensor(0.7), v0)
    for t in range(timesteps):
        z, v = multilevel_step(v, x[..., t], torch.tensor(0.7), levels)
        assert torch.equal(neuron(x)[..., t], z)
    assert torch.equal(neuron(x), neuron(x))


def test_a_scalar_threshold_gets_the_sum_of_all_gradients():
    x = torch.rand(5, 3, 1) * 4
    neuron = MultiLevelNeuron(VTH, N, train_threshold=True)
    neuron(x).sum().backward()
    # d/d log vth = vth * d/dvth
    wanted = -(x / VTH * (x <= N * VTH)).sum()
    assert neuron.log_threshold.grad.shape == ()
    assert torch.allclose(neuron.log_threshold.grad, wanted, rtol=1e-5)
    assert not list(MultiLevelNeuron(VTH, N).parameters())


def test_a_trained_threshold_stays_positive():
    neuron = MultiLevelNeuron(1e-3, N, train_threshold=True)
    with torch.no_grad():
        neuron.log_threshold -= 50
    assert float(neuron.threshold) > 0


def test_detach_reset_cuts_the_path_through_the_reset_alone():
    """Unsaturated over T = 2: with the reset's gradient, the count passes it straight through."""
    for detach, wanted in ((False, [1.0, 1.0]), (True, [2.0, 1.0])):
        x = torch.tensor([[[1.3, 0.4]]], requires_grad=True)
        MultiLevelNeuron(1.0, 8, detach_reset=detach)(x).sum().backward()
        assert torch.allclose(x.grad.flatten(), torch.tensor(wanted)), detach


def test_forward_does_not_depend_on_surrogate_alpha_or_detach():
    x = torch.randn(2, 3, 3) * 4
    wanted = MultiLevelNeuron(1.0, N)(x)
    for surrogate in SURROGATES:
        y = MultiLevelNeuron(1.0, N, surrogate=surrogate, alpha=9.0, detach_reset=True)(x)
        assert torch.equal(y, wanted)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": float("inf")}, "threshold"),
        ({"threshold": "1"}, "threshold"),
        ({"alpha": -1.0}, "alpha"),
        ({"levels": 0}, "levels"),
        ({"levels": 2.5}, "levels"),
        ({"levels": "many"}, "levels"),
        ({"surrogate": "tanh"}, "surrogate"),
        ({"v0": "half"}, "v0"),
    ],
)
def test_bad_arguments_are_named(arguments, names):
    with pytest.raises(ConfigError, match=names):
        MultiLevelNeuron(**arguments)


def test_an_unknown_surrogate_is_named():
    with pytest.raises(ConfigError, match="'tanh'"):
        spike(torch.ones(1), torch.ones(1), 4, "tanh")


class _Staircase(torch.autograd.Function):
    """One graded spike with the documented gradient, in the plainest form."""

    @staticmethod
    def forward(ctx, h, vth, levels, surrogate, alpha):
        ctx.save_for_backward(h, vth)
        ctx.options = levels, surrogate, alpha
        return torch.floor(h / vth).clip(0, levels)

    @staticmethod
    def backward(ctx, grad):
        h, vth = ctx.saved_tensors
        levels, surrogate, alpha = ctx.options
        u = h / vth
        if surrogate == "sigmoid":
            s = torch.stack([torch.sigmoid(alpha * (u - k)) for k in range(1, levels + 1)])
            slope = (alpha * s * (1 - s)).sum(0)
        else:
            low, high = {"ste": (0, 0), "ste_shifted": (0.5, 0.5), "ste_wide": (0, 1)}[surrogate]
            slope = ((u >= low) & (u <= levels + high)).to(u.dtype)
        grad_h = grad * slope / vth
        return grad_h, -(grad_h * u).sum(), None, None, None


def step_by_step(neuron, x):
    """The neuron as autograd differentiates it timestep by timestep."""
    vth = neuron.threshold
    v = initial_state(vth, neuron.v0)
    out = []
    for a in x.unbind(-1):
        h = v + a
        z = _Staircase.apply(h, vth, neuron.levels, neuron.surrogate, neuron.alpha)
        v = h - vth * (z.detach() if neuron.detach_reset else z)
        out.append(z)
    return torch.stack(out, -1)


LAYOUTS = {
    "time last": lambda x: x.contiguous(),
    "time first": lambda x: x.movedim(-1, 0).contiguous().movedim(0, -1),
    "time first, channels last": lambda x: (
        x.permute(4, 0, 2, 3, 1).contiguous().permute(1, 4, 2, 3, 0)
    ),
    "one image for all timesteps": lambda x: x[..., :1].expand_as(x),
}


@given(
    st.integers(1, 4),
    st.sampled_from([1, 2, 4, 127]),
    st.sampled_from(["floor", "round"]),
    st.sampled_from(SURROGATES),
    st.booleans(),
    st.booleans(),
    st.sampled_from(sorted(LAYOUTS)),
    st.booleans(),
    st.integers(0, 2**31),
)
@settings(max_examples=150, deadline=None)
def test_the_fused_neuron_is_the_one_written_step_by_step(
    timesteps, levels, v0, surrogate, detach, trained, layout, whole, seed
):
    if levels == 127 and surrogate == "sigmoid":
        levels = 8  # a sum of 127 sigmoids only takes longer
    torch.manual_seed(seed)
    vth = 1.0 if whole else 0.7
    neuron = MultiLevelNeuron(vth, levels, v0, trained, surrogate, 3.0, detach).double()
    x = torch.randn(3, 2, 3, 2, timesteps, dtype=torch.float64) * min(levels, 8)
    x = LAYOUTS[layout](x.round() if whole else x)  # whole: many values on a window's edge
    g = torch.randn(x.shape, dtype=torch.float64)
    results = []
    for forward in (neuron, lambda y: step_by_step(neuron, y)):
        data = x.detach().requires_grad_()
        z = forward(data)
        wanted = [data, *neuron.parameters()]
        results.append((z, torch.autograd.grad(z, wanted, g)))
    (z, grads), (z_slow, grads_slow) = results
    assert torch.equal(z, z_slow)
    for a, b in zip(grads, grads_slow, strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("surrogate", WINDOWS)
@pytest.mark.parametrize("trained", [False, True])
def test_both_ends_of_the_window_belong_to_it(surrogate, trained, dtype):
    ends = torch.tensor(WINDOWS[surrogate], dtype=dtype)
    beyond = torch.nextafter(ends, torch.tensor([-1.0, 99.0], dtype=dtype))
    within = torch.nextafter(ends, torch.tensor([2.0, 2.0], dtype=dtype))
    h = torch.cat([ends, within, beyond]).requires_grad_()
    vth = torch.ones((), dtype=dtype, requires_grad=trained)
    spike(h, vth, N, surrogate).sum().backward()
    assert h.grad.tolist() == [1, 1, 1, 1, 0, 0]


def kept_bytes(forward):
    """Bytes that backward keeps, storages counted once."""
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        result = forward()
    return sum(storages.values()), result


@pytest.mark.parametrize("timesteps", [1, 3])
@pytest.mark.parametrize("detach", [False, True])
def test_a_fixed_threshold_keeps_one_byte_a_neuron_and_timestep(timesteps, detach):
    x = torch.randn(5, 7, timesteps, requires_grad=True)
    neuron = MultiLevelNeuron(1.0, N, detach_reset=detach)
    size, _ = kept_bytes(lambda: neuron(x))
    assert size == x.numel() + 4  # and the threshold
    with torch.no_grad():
        assert kept_bytes(lambda: neuron(x))[0] == 0


def test_spikes_lie_time_first_in_memory_in_the_layout_of_a_timestep():
    x = LAYOUTS["time first, channels last"](torch.randn(2, 3, 4, 5, 6))
    assert MultiLevelNeuron()(x).permute(4, 0, 2, 3, 1).is_contiguous()
    assert MultiLevelNeuron()(x.contiguous()).movedim(-1, 0).is_contiguous()


def test_an_infinite_input_saturates_and_stops_its_gradient():
    x = torch.tensor([[[float("inf")], [-float("inf")], [1.5]]], requires_grad=True)
    z = MultiLevelNeuron(1.0, N)(x)
    z.sum().backward()
    assert z.flatten().tolist() == [N, 0, 1] and x.grad.flatten().tolist() == [0, 0, 1]
