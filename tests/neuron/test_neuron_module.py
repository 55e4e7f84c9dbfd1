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


@pytest.mark.parametrize(("surrogate", "shift"), [("ste", 0.0), ("ste_shifted", 0.5)])
def test_straight_through_is_one_over_vth_inside_its_window_alone(surrogate, shift):
    u = np.array([-1, -1e-6, 1e-6, 1, 2.3, N - 1e-6, N + 1e-6, N + 3]) + shift
    inside = (u >= shift) & (u <= N + shift)
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
