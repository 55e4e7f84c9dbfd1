"""Weights that keep too few bits are told, and no others: measured on payloads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lava_mlsnn.errors import RangeError
from lava_mlsnn.export import scale_losses
from lava_mlsnn.models import ModelConfig, build_model
from lava_mlsnn.models.config import ARCHITECTURES
from lava_mlsnn.slayer import block

torch.set_num_threads(1)
FULL = 127  # steps of 8 bits


def measured(population, top, seed):
    """Power of the noise of weights over that of payloads, and steps of the largest, a channel.

    Payloads are real numbers spread over 0..top, rounded; sums are rounded to thresholds. Of
    errors whose signs are independent, the powers add up.
    """
    ints, weight = population.integers(), population.folded_weights()[0].double()
    whole = ints.weights[0] * 2.0 ** ints.exponents[0]
    real = torch.rand(4000, weight.shape[1], generator=torch.Generator().manual_seed(seed))
    z = (real.double() * top).round()
    scaled = weight * ints.scale[:, None]
    of_weights = (whole - scaled).square() @ z.square().mean(0)
    of_payloads = scaled.square() @ (z - real * top).square().mean(0)
    if ints.vth is not None:
        of_payloads = of_payloads + ints.vth.square() / 12
    return of_weights / of_payloads, ints.weights[0].abs().amax(1) / population.scaling.step


@settings(max_examples=40, deadline=None)
@given(
    inputs=st.integers(4, 64),
    top=st.sampled_from([1, 4, 15, 127, 1000, 30_000]),
    levels=st.sampled_from([None, 1, 4, 15, 255, 4000]),
    size=st.floats(-7, 1),
    seed=st.integers(0, 99),
)
@example(inputs=12, top=36_000, levels=None, size=-4.3, seed=0)
@example(inputs=12, top=360_000, levels=None, size=-6.0, seed=0)
@example(inputs=16, top=4, levels=4, size=-7.0, seed=0)  # too small for any threshold
def test_a_loss_is_told_where_half_the_levels_would_be_closer(inputs, top, levels, size, seed):
    torch.manual_seed(seed)
    if levels is None:
        last = block.Output(inputs, 3)
    else:
        last = block.Dense({"levels": levels}, inputs, 3, norm=False)
    with torch.no_grad():
        last.population.synapses[0].weight.copy_(torch.randn(3, inputs) * 10.0**size)
    made = torch.nn.Sequential(block.Input((inputs,), levels=top, gain=float(top)), last).eval()
    try:
        losses = scale_losses(made, timesteps=1)
    except RangeError as error:
        assert "no weight bit is left" in str(error)
        losses = None
    ratio, steps = measured(last.population, top, seed)
    told = losses is None or any(loss.left < loss.asked for loss in losses)
    if levels is None:  # one scale for all channels
        ratio, steps = ratio.mean(), steps.max()
    if told:
        assert ((ratio > 2) & (steps <= FULL / 2 + 1)).any()
    else:
        assert ((ratio < 8) | (steps >= FULL / 2 - 1)).all()
    if losses:
        least = 1 + np.log2(float(steps.min()) + 0.5)
        assert losses[0].left > least - 1.5


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("levels", [1, 15])
def test_networks_of_usual_levels_lose_nothing(arch, levels):
    made = build_model(ModelConfig(arch=arch, levels=levels, width=4)).train()
    shape = next(m for m in made.modules() if isinstance(m, block.Input)).shape
    with torch.no_grad():
        made(torch.rand(8, *shape))
    assert scale_losses(made.eval()) == []
