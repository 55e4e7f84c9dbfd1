"""Training with ``stock=True`` keeps every number inside what stock Lava holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import small_model

from lava_mlsnn.population.quantise import Scaling, quantise
from netx_export import stock_reasons, to_spec
from netx_export.file.stock import BIAS_LIMIT, SUM_LIMIT

STOCK = {"arch": "vgg-11", "pool": "stride", "levels": 1, "timesteps": 1, "stock": True}


@settings(max_examples=80, deadline=None)
@given(
    skew=st.floats(-3, 3),
    size=st.floats(1e-4, 1e3),
    fan_in=st.integers(1, 3000),
    source=st.sampled_from([(0, 1), (0, 16), (-15, 15), (0, 31)]),
    theta=st.floats(1e-2, 1e2),
    bits=st.integers(2, 8),
    seed=st.integers(0, 999),
)
def test_no_input_can_push_a_sum_out_of_17_bits(skew, size, fan_in, source, theta, bits, seed):
    """Weights of one sign, the worst that training could come to, included."""
    scaling = Scaling.stock(bits, source)
    low, high = source
    room = scaling.sum_limit - 2 * scaling.bias_limit - fan_in * scaling.step / 2 * (high - low)
    if room < scaling.sum_limit / 4:
        return  # rounding alone could fill it; stock_reasons says so after export
    rng = np.random.default_rng(seed)
    weight = torch.from_numpy(size * rng.normal(skew, 1, (2, fan_in)))
    bias = torch.from_numpy(size * rng.normal(0, 1, 2))
    ints = quantise([weight], [1.0], bias, theta, 1, "floor", scaling)
    up = ints.weights[0].clamp_min(0).sum(1)
    down = (-ints.weights[0]).clamp_min(0).sum(1)
    worst = max(float((up * high - down * low).max()), float((down * high - up * low).max()))
    assert worst + float(ints.bias.abs().max()) < SUM_LIMIT
    assert ints.bias.abs().max() < BIAS_LIMIT


@pytest.mark.parametrize("v0", ["floor", "round"])
@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 16.0},
        {"threshold": 0.1},
        {"input_levels": 255, "input_shape": (16, 9, 7)},
        {"input_levels": 127, "input_signed": True},
    ],
    ids=str,
)
def test_any_stock_model_is_one_for_stock_lava(v0, change):
    assert stock_reasons(to_spec(small_model(**{**STOCK, "v0": v0, **change}))) == []


def test_first_layer_of_one_sign_under_a_wide_input():
    model = small_model(**STOCK, input_shape=(24, 7, 5), input_levels=255)
    with torch.no_grad():
        model.blocks.conv1.population.synapses[0].weight.abs_()
    reasons = stock_reasons(to_spec(model))
    assert reasons == []
