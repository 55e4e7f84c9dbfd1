"""Laws of the pure step function, on numbers that NumPy and torch both hold exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.neuron import (
    fixed_step,
    graded_spike,
    initial_state,
    message_bits,
    multilevel_step,
)
from netx_export.spec.widths import STATE_MAX, STATE_MIN, fit_state

LEVELS = st.sampled_from([1, 2, 4, 8, 15, 127])
VTH = st.integers(1, 5000)
INPUTS = st.lists(st.integers(-20_000, 20_000), min_size=1, max_size=6)


def run(inputs, vth, levels, v0, kind):
    """Payloads and states of one neuron over its inputs, in a number kind, as ints."""
    if kind is int:
        make = lambda x: np.array([x], np.int64)  # noqa: E731
    else:
        make = lambda x: torch.tensor([x], dtype=kind)  # noqa: E731
    v, out = make(v0), []
    for a in inputs:
        z, v = multilevel_step(v, make(a), make(vth), levels)
        out.append((int(z.item()), int(v.item())))
    return out


@given(INPUTS, VTH, LEVELS, st.booleans())
def test_numpy_integers_torch_integers_and_floats_agree(inputs, vth, levels, half):
    v0 = vth // 2 if half else 0
    wanted = run(inputs, vth, levels, v0, int)
    for kind in (torch.int64, torch.int32, torch.float32, torch.float64):
        assert run(inputs, vth, levels, v0, kind) == wanted, kind
    x = np.array([inputs], np.float64)
    z, _ = multilevel_step(np.float64(v0), x, np.float64(vth), levels)
    assert z[0, 0] == wanted[0][0]


@given(INPUTS, VTH, st.booleans())
def test_one_level_is_the_binary_soft_reset_neuron(inputs, vth, half):
    v = vth // 2 if half else 0
    wanted = []
    for a in inputs:
        v += a
        fires = v >= vth
        if fires:
            v -= vth
        wanted.append((int(fires), v))
    assert run(inputs, vth, 1, vth // 2 if half else 0, int) == wanted


@given(INPUTS, VTH, LEVELS, st.integers(-5000, 5000))
def test_no_charge_is_lost(inputs, vth, levels, v0):
    steps = run(inputs, vth, levels, v0, int)
    assert v0 + sum(inputs) == steps[-1][1] + vth * sum(z for z, _ in steps)
    assert all(0 <= z <= levels for z, _ in steps)


@pytest.mark.parametrize("levels", [1, 2, 4, 15])
@pytest.mark.parametrize("timesteps", [1, 2, 4])
@pytest.mark.parametrize("v0", ["floor", "round"])
def test_constant_inputs_reach_each_of_the_nt_plus_1_counts_and_no_more(levels, timesteps, v0):
    """The count over T equals one quantisation of the summed input."""
    vth = 12
    start = initial_state(vth, v0)
    a = np.arange(-2 * vth, (levels + 2) * vth + 1)
    v, count = np.full(a.shape, start), np.zeros(a.shape, int)
    for _ in range(timesteps):
        z, v = multilevel_step(v, a, np.int64(vth), levels)
        count += z
    top = levels * timesteps
    wanted = np.clip(np.floor((timesteps * a + start) / vth), 0, top)
    assert np.array_equal(count, wanted)
    assert set(count) == set(range(top + 1))


@given(st.integers(1, STATE_MAX), st.data())
def test_float32_divides_exactly_next_to_every_threshold(vth, data):
    """At k*vth - 1, k*vth and k*vth + 1, where a rounded quotient would jump a level."""
    k = data.draw(st.integers(0, STATE_MAX // vth))
    h = np.array([k * vth - 1, k * vth, k * vth + 1], np.int64).clip(-STATE_MAX, STATE_MAX)
    wanted = graded_spike(h, np.int64(vth), 1 << 23)
    assert np.array_equal(graded_spike(h.astype(np.float32), np.float32(vth), 1 << 23), wanted)
    t = graded_spike(torch.from_numpy(h).float(), torch.tensor(float(vth)), 1 << 23)
    assert np.array_equal(t.numpy(), wanted)


@pytest.mark.parametrize("vth", [3, 7, 255, 256, 1023, 4093, 65537, 2796203])
def test_float32_divides_exactly_at_every_threshold_in_24_bits(vth):
    edges = np.arange(0, STATE_MAX + 1, vth)
    h = np.concatenate([edges - 1, edges, edges + 1]).clip(0, STATE_MAX)
    fast = np.floor(h.astype(np.float32) / np.float32(vth)).astype(np.int64)
    assert np.array_equal(fast, h // vth)
    assert np.array_equal((torch.from_numpy(h).float() / vth).floor().long().numpy(), h // vth)


@given(
    st.integers(STATE_MIN, STATE_MAX),
    st.integers(STATE_MIN, STATE_MAX),
    st.integers(1, STATE_MAX),
    LEVELS,
    st.sampled_from(["wrap", "saturate"]),
)
def test_the_fixed_step_keeps_24_bits_and_counts_what_left_them(v, a, vth, levels, overflow):
    h = v + a
    left = not STATE_MIN <= h <= STATE_MAX
    if overflow == "saturate":
        held = max(STATE_MIN, min(STATE_MAX, h))
    else:
        held = (h + (1 << 23)) % (1 << 24) - (1 << 23)
    level = min(max(held // vth, 0), levels)
    z, state, count = fixed_step(np.array([v]), np.array([a]), np.array([vth]), levels, overflow)
    assert (int(z[0]), int(state[0]), count) == (level, held - vth * level, int(left))
    assert STATE_MIN <= int(state[0]) <= STATE_MAX


def test_an_unknown_overflow_is_named():
    with pytest.raises(ConfigError, match=r"overflow.*'clip'"):
        fit_state(np.array([1 << 30]), "clip")


def test_the_start_is_zero_or_half_a_threshold_in_every_number_kind():
    assert initial_state(7, "floor") == 0 and initial_state(7, "round") == 3
    assert initial_state(np.int32(7), "round") == 3 and initial_state(7.0, "round") == 3.5
    assert np.array_equal(initial_state(np.array([7, 8]), "round"), [3, 4])
    assert np.array_equal(initial_state(np.array([7.0, 8]), "round"), [3.5, 4])
    assert torch.equal(initial_state(torch.tensor([7, 8]), "round"), torch.tensor([3, 4]))
    assert torch.equal(initial_state(torch.tensor([7.0]), "round"), torch.tensor([3.5]))
    with pytest.raises(ConfigError, match=r"'floor'.*'round'.*'half'"):
        initial_state(1.0, "half")


@given(st.integers(1, STATE_MAX))
def test_the_message_is_the_smallest_that_holds_every_payload(levels):
    bits = message_bits(levels)
    widths = {0: 1, 8: 127, 16: 32767, 24: STATE_MAX}
    assert widths[bits] >= levels
    assert all(w < levels for b, w in widths.items() if b < bits)


def test_a_payload_beyond_24_bits_is_refused():
    with pytest.raises(ConfigError, match="8388608"):
        message_bits(STATE_MAX + 1)


@pytest.mark.parametrize("kind", ["int32", "int64", "float32", "float64"])
def test_a_payload_has_the_type_of_the_membrane(kind):
    for h in (np.arange(9, dtype=kind), torch.arange(9, dtype=getattr(torch, kind))):
        vth = h[2:3]
        z = graded_spike(h, vth, 3)
        assert z.dtype == h.dtype and z.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3]
