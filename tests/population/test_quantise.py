"""Floats to integers: every number in its width, and exact where it must be."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lava_mlsnn.errors import ConfigError, RangeError
from lava_mlsnn.population.quantise import Sums, grid_weights, quantise
from lava_mlsnn.population.scaling import power_of_two, sum_cap
from lava_mlsnn.slayer import Scaling
from netx_export.spec.widths import STATE_MAX, check_weights


@st.composite
def cases(draw):
    """Weights over many magnitudes, some channels dead, bias, threshold, identity or not."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    channels, fan_in = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    weight = torch.randn(channels, fan_in, generator=generator)
    spread = draw(st.sampled_from([0.0, 1.0, 3.0]))
    middle = draw(st.sampled_from([-6, -2, 0, 2, 4]))
    weight *= 10.0 ** (torch.rand(channels, 1, generator=generator) * spread + middle)
    if draw(st.booleans()):
        weight[0] = 0  # gamma = 0
    bias = torch.randn(channels, generator=generator) * draw(st.sampled_from([0.0, 1.0, 50.0]))
    theta = draw(st.sampled_from([None, 0.25, 1.0, 1.0, 3.7]))
    scaling = draw(
        st.sampled_from(
            [Scaling(), Scaling(weight_bits=5), Scaling("layer"), Scaling.stock(), Scaling.stock(3)]
        )
    )
    units = scaling.exponents and draw(st.booleans())
    levels = draw(st.sampled_from([1, 4, 15]))
    return weight, bias, theta, levels, units, scaling


def integers(weight, bias, theta, levels, units, scaling, v0="floor"):
    weights = [weight, None] if units else [weight]
    return quantise(weights, [1.0] * len(weights), bias, theta, levels, v0, scaling)


@given(cases(), st.sampled_from(["floor", "round"]))
@settings(max_examples=150, deadline=None)
def test_every_integer_fits_its_width(case, v0):
    theta, scaling = case[2], case[5]
    try:
        ints = integers(*case, v0)
    except RangeError as error:  # refused, never wrapped
        assume("bias" not in str(error))
        raise
    for w, e in zip(ints.weights, ints.exponents, strict=True):
        assert torch.equal(w, w.round())
        check_weights(w.numpy().astype(int))
        assert 0 <= e <= 16 and (scaling.exponents or e == 0)
    w = ints.weights[0]
    assert w.abs().max() <= scaling.weight_max <= 254
    assert torch.equal(w % scaling.step, torch.zeros_like(w))
    assert torch.equal(ints.bias, ints.bias.round()) and ints.bias.abs().max() <= STATE_MAX
    if theta is None:
        assert ints.vth is None and ints.v0 is None
    else:
        assert ints.vth.min() >= 1 and ints.vth.max() <= STATE_MAX
        wanted = (ints.vth // 2) if v0 == "round" else torch.zeros_like(ints.vth)
        assert torch.equal(ints.v0, wanted)


@given(cases())
@settings(max_examples=150, deadline=None)
def test_integers_are_the_floats_times_one_scale_per_channel(case):
    weight, bias, theta, _, units, scaling = case
    try:
        ints = integers(*case)
    except RangeError:
        assume(False)
    scale = ints.scale
    assert scale.min() > 0
    w = ints.weights[0] * 2.0 ** ints.exponents[0]
    grid = scaling.step * 2.0 ** ints.exponents[0]
    wanted = weight.double() * scale[:, None]
    limit = scaling.weight_max * 2.0 ** ints.exponents[0]
    assert ((w - wanted.clamp(-limit, limit)).abs() <= grid / 2 + 1e-6).all()
    assert ((ints.bias - bias.double() * scale).abs() <= 0.5 + 1e-6).all()
    if theta is not None:
        assert ((ints.vth - theta * scale).abs() <= 0.5 + 1e-6).logical_or(ints.vth == 1).all()
    if scaling.mode == "layer":
        assert torch.equal(scale, scale[:1].expand_as(scale))
    if units:
        unit = ints.weights[1]
        assert torch.equal(unit * 2.0 ** ints.exponents[1], scale)  # the shortcut is exact
        assert unit.min() >= 1 and unit.max() <= 255
        if theta == 1.0:
            assert torch.equal(ints.vth, scale)


@pytest.mark.parametrize("bits", range(2, 9))
def test_fewer_weight_bits_leave_a_coarser_grid_of_the_same_range(bits):
    scaling = Scaling(weight_bits=bits)
    weight = torch.linspace(-1, 1, 1001)[None]
    ints = integers(weight, torch.zeros(1), 1.0, 4, False, scaling)
    values = ints.weights[0].unique()
    assert len(values) == 2**bits - 1
    assert values.min() == -values.max() == -scaling.weight_max


@given(
    cases(),
    st.integers(2, 8),
    st.sampled_from([None, 1.0, -0.3, 1e-4]),
    st.booleans(),
    st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=200, deadline=None)
def test_training_computes_with_exactly_the_exported_integers(case, bits, gain, two, dtype):
    """w_grid is w_int * 2**e / (S_c * g_c) rounded once, with quantise()'s own integers."""
    weight, bias, theta, levels, units, scaling = case
    scaling = replace(scaling, weight_bits=bits)
    weights = [weight.to(dtype)] + ([weight.flip(0)[:, None].to(dtype) * 3] if two else [])
    gains = [None if gain is None else torch.linspace(gain, 2 * gain, len(bias)).to(dtype)]
    gains += [None] * (len(weights) - 1)
    if gain is not None and len(bias) > 1:
        gains[0][-1] = 0  # BatchNorm has switched the channel off
    folded = [
        w if g is None else w * g.reshape(-1, *[1] * (w.dim() - 1))
        for w, g in zip(weights, gains, strict=True)
    ]
    ends = [None] if units else []
    try:
        ints = quantise(
            folded + ends, [1.0] * (len(folded) + units), bias, theta, levels, "floor", scaling
        )
    except RangeError:
        assume(False)
    threshold = None if theta is None else torch.tensor(theta)
    (grids,) = grid_weights([Sums(weights + ends, gains + ends, bias, threshold, levels)], scaling)
    assert len(grids) == len(weights) + units and not (units and grids[-1] is not None)
    for i, (w, g) in enumerate(zip(weights, gains, strict=True)):
        grid, w_int, e = grids[i], ints.weights[i], ints.exponents[i]
        unit = ints.scale if g is None else ints.scale * g
        unit = unit.reshape(-1, *[1] * (w.dim() - 1))
        assert grid.dtype == dtype
        live = unit.abs() > 1e-6 if g is not None else torch.ones_like(unit, dtype=torch.bool)
        live = live.expand_as(w)
        assert torch.equal(grid[~live], w[~live])
        back = torch.round(grid.double() * unit / 2.0**e)
        assert torch.equal(back[live], w_int[live])


@given(st.floats(1e-300, 1e300), st.integers(-3, 20), st.integers(-1, 1))
def test_powers_of_two_are_the_smallest_that_reach_the_value(x, exponent, ulps):
    edge = torch.tensor(2.0**exponent, dtype=torch.float64)
    for value in (torch.tensor(x, dtype=torch.float64), torch.nextafter(edge, edge + ulps)):
        power = float(power_of_two(value))
        assert power in [2.0**k for k in range(17)]
        assert power >= value or power == 2.0**16
        assert power == 1 or power / 2 < value


def test_the_grid_needs_no_look_at_a_value():
    """On the meta device there are no values: item(), bool() and float() raise."""
    w, c = torch.empty(4, 3, 2, 2, device="meta"), torch.empty(4, device="meta")
    for scaling in (Scaling(), Scaling("layer"), Scaling.stock(), Scaling("fixed", fixed=8.0)):
        sums = Sums([w, None], [c, None], c, c[0], 4)
        (first, second), (third, _) = grid_weights([sums, sums], scaling)
        assert first.shape == third.shape == w.shape and second is None


def test_a_dead_channel_keeps_its_bias_and_threshold():
    weight = torch.tensor([[0.0, 0.0], [0.5, -1.0]])
    ints = integers(weight, torch.tensor([0.75, 0.0]), 1.0, 4, True, Scaling())
    assert not ints.weights[0][0].any()
    assert ints.bias[0] / ints.vth[0] == pytest.approx(0.75, abs=0.01)


def test_negative_channels_mirror_positive_ones():
    weight = torch.randn(4, 6)
    up = integers(weight, torch.ones(4), 1.0, 4, True, Scaling())
    down = integers(-weight, -torch.ones(4), 1.0, 4, True, Scaling())
    assert torch.equal(up.weights[0], -down.weights[0]) and torch.equal(up.bias, -down.bias)
    assert torch.equal(up.vth, down.vth)


def test_fixed_scale_of_one_leaves_sums_of_payloads_as_they_are():
    ints = quantise([None, None], [1.0, 1.0], torch.zeros(3), 2.0, 4, "floor", Scaling("fixed"))
    assert all(torch.equal(w, torch.ones(3)) for w in (*ints.weights, ints.scale))
    assert ints.exponents == (0, 0) and torch.equal(ints.vth, torch.full((3,), 2.0))


def test_the_stock_scaling_stays_inside_what_stock_lava_can_express():
    scaling = Scaling.stock()
    weight, bias = torch.randn(8, 16) * 3, torch.randn(8) * 5
    ints = integers(weight, bias, 0.7, 1, False, scaling)
    assert ints.exponents == (0,) and len(ints.vth.unique()) == 1
    assert ints.bias.abs().max() <= 4096 and ints.vth.max() <= 1 << 16


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["weight", "bias", "theta"])
def test_numbers_that_are_not_finite_are_refused(bad, where):
    weight, bias, theta = torch.ones(2, 2), torch.zeros(2), 1.0
    if where == "weight":
        weight[1, 1] = bad
    elif where == "bias":
        bias[0] = bad
    else:
        theta = bad
    with pytest.raises(RangeError, match="threshold" if where == "theta" else "finite"):
        quantise([weight], [1.0], bias, theta, 4, "floor", Scaling())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"theta": 1e9, "units": True}, "threshold must fit 24 bits"),
    ],
)
def test_what_no_scale_can_fit_is_refused(arguments, says):
    bias = torch.full((2,), arguments.get("bias", 0.0))
    with pytest.raises(RangeError, match=says):
        integers(torch.randn(2, 3), bias, arguments["theta"], 4, True, Scaling())


def test_a_shortcut_that_needs_more_than_8_bits_is_refused():
    with pytest.raises(RangeError, match=r"one-to-one.*255.*257"):
        quantise([None], [257 / 256], torch.zeros(1), 1.0, 4, "floor", Scaling("fixed", fixed=256))


@pytest.mark.parametrize("bits", [0, 1, 9])
def test_weight_bits_out_of_range_are_named(bits):
    with pytest.raises(ConfigError, match=f"2..8, got {bits}"):
        Scaling(weight_bits=bits)


def test_an_unknown_mode_is_named():
    with pytest.raises(ConfigError, match="'tensor'"):
        Scaling("tensor")


def test_a_bias_far_above_its_shortcut_takes_the_shortcut():
    bias = torch.tensor([1e9, 0.5])
    ints = integers(torch.ones(2, 3), bias, 1.0, 4, True, Scaling())
    assert ints.weights[1][0] == 0 and ints.vth[0] == 1 and 0 < ints.scale[0] < 1
    assert 1 << 20 < ints.bias[0] <= 1 << 21
    assert ints.weights[1][1] > 200  # the other channel keeps its own


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.lists(st.floats(-3, 3, width=16), min_size=1, max_size=3), min_size=1,
                  max_size=2),
    source=st.tuples(st.integers(-9, 0), st.integers(1, 9)),
    limit=st.sampled_from([1 << 17, 20_000, 9000]),
)  # fmt: skip
def test_the_largest_sum_fills_what_biases_and_rounding_leave(rows, source, limit):
    """Tried with every input of a synapse that has each source at an end, or silent."""
    scaling = replace(Scaling.stock(source=source), sum_limit=limit)
    folded = [torch.tensor([row], dtype=torch.float64) for row in rows]
    assume(any(w.abs().max() > 0.01 for w in folded))
    worst, rounding = 0.0, 0.0
    for w in folded:
        ends = itertools.product((source[0], 0, source[1]), repeat=w.shape[1])
        worst += max(abs(float(w[0] @ torch.tensor(x, dtype=torch.float64))) for x in ends)
        rounding += w.shape[1] * scaling.step / 2 * (source[1] - source[0])
    room = max(limit - 2 * 4095 - rounding, limit / 4)
    assert float(sum_cap([folded[0], None, *folded[1:]], scaling)) * worst == pytest.approx(room)


def test_a_gain_per_channel_has_the_largest_sum_of_a_kernel_of_one():
    """One-to-one synapses have weights (C,)."""
    gains, scaling = torch.tensor([0.5, -2.0], dtype=torch.float64), Scaling.stock(source=(0, 4))
    assert torch.equal(sum_cap([gains], scaling), sum_cap([gains[:, None]], scaling))


def test_a_fixed_scale_that_leaves_24_bits_is_refused():
    weight, scaling = torch.ones(2, 1), Scaling("fixed", fixed=1 << 20)
    with pytest.raises(RangeError, match="the bias must fit 24 bits after scaling"):
        integers(weight, torch.tensor([0.0, 8.0]), 1.0, 4, False, scaling)
    with pytest.raises(RangeError, match="the threshold must fit 24 bits after scaling"):
        integers(weight, torch.zeros(2), 8.0, 4, False, scaling)
    assert integers(weight, torch.zeros(2), 7.0, 4, False, scaling).vth.tolist() == [7 << 20] * 2
