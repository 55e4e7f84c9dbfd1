"""The neuron programs give what the fixed-point step gives, for every input of 24 bits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.errors import ConfigError, RangeError
from lava_mlsnn.loihi2.program.instructions import Instruction, Program
from lava_mlsnn.loihi2.program.interpreter import execute
from lava_mlsnn.loihi2.program.neuron import (
    chunks,
    multilevel_each_program,
    multilevel_program,
    multiplier,
    readout_program,
)
from lava_mlsnn.loihi2.program.proof import prove
from netx_export.spec.neurons.step import fixed_step
from netx_export.spec.widths import STATE_MAX, STATE_MIN, wrap24

WIDE = st.integers(STATE_MIN, STATE_MAX)
LEVELS = st.integers(1, 127)
SOME = settings(max_examples=200, deadline=None)


def methods_for(vth, levels):
    found = ["subtract"]
    if multiplier(vth, levels)[0] <= STATE_MAX:
        found.append("multiply")
    if vth & (vth - 1) == 0:
        found.append("shift")
    return found


@pytest.mark.parametrize("vth", [*range(1, 18), 31, 32, 33])
@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5, 7, 8, 15, 16, 127])
def test_every_input_of_a_small_range(vth, levels):
    """All H from far below 0 to far beyond N vth, with every method."""
    h = np.arange(-3 * vth - 5, (levels + 3) * vth + 5)
    z, v, _ = fixed_step(np.zeros_like(h), h, np.int64(vth), levels)
    for method in methods_for(vth, levels):
        done = execute(multilevel_program(vth, levels, method=method), {"a": h, "bias": 0})
        np.testing.assert_array_equal(done.payload, z, err_msg=method)
        np.testing.assert_array_equal(done.sent, z > 0, err_msg=method)
        np.testing.assert_array_equal(done.registers["v"], v, err_msg=method)
    done = execute(multilevel_each_program(levels), {"a": h, "bias": 0, "vth": vth})
    np.testing.assert_array_equal(done.payload, z)
    np.testing.assert_array_equal(done.registers["v"], v)


@given(st.lists(WIDE, min_size=1, max_size=30), WIDE, WIDE, st.integers(1, STATE_MAX), LEVELS)
@SOME
def test_drawn_inputs_of_the_full_range_wrap_alike(sums, bias, v0, vth, levels):
    a = np.array(sums)
    z, v, _ = fixed_step(np.int64(v0), a + bias, np.int64(vth), levels)
    for method in methods_for(vth, levels):
        done = execute(multilevel_program(vth, levels, method=method), {"a": a, "bias": bias + v0})
        np.testing.assert_array_equal(done.payload, z, err_msg=method)
        np.testing.assert_array_equal(done.registers["v"], v, err_msg=method)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_states_and_resets_over_many_samples(data):
    """T > 1, late starts, thresholds shared and of each neuron's own."""
    draw = data.draw
    timesteps, offset = draw(st.integers(2, 5)), draw(st.integers(0, 9))
    levels = draw(LEVELS)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = 6
    top = min(1 << draw(st.integers(1, 22)), STATE_MAX // chunks(levels)[0])
    own = rng.integers(1, top + 1, count)
    shared = int(own[0])
    half = draw(st.booleans())
    bias = rng.integers(-top, top + 1, count)
    for each in (False, True):
        vth = own if each else np.full(count, shared)
        v0 = vth // 2 if half else vth * 0
        program = (
            multilevel_each_program(levels, timesteps=timesteps)
            if each
            else multilevel_program(shared, levels, v0=int(v0[0]), timesteps=timesteps)
        )
        state = {"v": v0, "left": np.full(count, offset % timesteps)}
        given_ = {"bias": bias} | ({"vth": vth, "v0": v0} if each else {})
        v = v0
        for t in range(1, 3 * timesteps + offset):
            a = rng.integers(-4 * top, 4 * top + 1, count)
            if (t - 1 - offset) % timesteps == 0:
                v = v0
            z, v, _ = fixed_step(v, wrap24(a) + bias, vth, levels)
            done = execute(program, {**state, **given_, "a": a})
            state = {name: done.registers[name] for name in program.state}
            np.testing.assert_array_equal(done.payload, z)
            np.testing.assert_array_equal(state["v"], v)


@given(st.lists(WIDE, min_size=1, max_size=9), WIDE, st.integers(1, 4), st.booleans())
@SOME
def test_readouts_and_relays(sums, bias, timesteps, integrate):
    program = readout_program(integrate, timesteps)
    state = {"v": np.int64(0), "left": np.int64(0)} if program.state else {}
    total = 0
    for t, a in enumerate(sums):
        total = 0 if t % timesteps == 0 or not integrate else total
        total = int(wrap24(np.int64(total + a + bias)))
        done = execute(program, {**state, "a": a, "bias": bias})
        state = {name: done.registers[name] for name in program.state}
        assert int(done.payload) == total and bool(done.sent) == (total != 0)


@pytest.mark.parametrize("levels", range(1, 128))
def test_length_is_within_twelve_and_four_per_bit(levels):
    bits = math.ceil(math.log2(levels + 1))
    assert len(chunks(levels)) == bits and sum(chunks(levels)) == levels
    for timesteps in (1, 4):
        lengths = [len(multilevel_program(vth, levels, timesteps=timesteps)) for vth in (3, 999)]
        assert max(lengths) <= 12 + 4 * bits
        power = len(multilevel_program(1 << 9, levels, timesteps=timesteps))
        assert power < min(lengths)
        assert len(multilevel_program(999, levels, timesteps=timesteps, method="multiply")) == power
    each = len(multilevel_each_program(levels))
    assert each <= 4 + 5 * bits <= 12 + 4 * bits


@given(WIDE, st.integers(1, STATE_MAX), LEVELS, st.integers(1, 3))
@SOME
def test_no_neuron_executes_more_than_the_length_and_a_silent_one_few(h, vth, levels, timesteps):
    program = multilevel_program(vth, levels, timesteps=timesteps)
    state = {"v": 0, "left": 0} if timesteps > 1 else {}
    done = execute(program, {**state, "a": h, "bias": 0})
    assert int(done.executed) <= len(program)
    if h < vth:
        assert int(done.executed) == (3 if timesteps == 1 else 9)


@given(st.integers(1, 4000), LEVELS)
@settings(max_examples=60, deadline=None)
def test_multiply_and_shift_is_a_division_up_to_where_n_is_reached(vth, levels):
    m, s = multiplier(vth, levels)
    edges = (np.arange(levels + 2)[:, None] * vth + np.array([-1, 0])).ravel()[1:-1]
    np.testing.assert_array_equal((edges * m) >> s, edges // vth)
    if s:  # one bit less is not enough
        short, m_short = s - 1, (1 << s - 1) // vth + 1
        top = (levels + 1) * vth - 1
        assert top * (m_short * vth - (1 << short)) >= 1 << short


BOUNDS = st.tuples(WIDE, WIDE).map(lambda pair: (min(pair), max(pair)))


@given(BOUNDS, BOUNDS, st.integers(1, 1 << 21), st.integers(1, 127), st.data())
@SOME
def test_proved_ranges_hold_for_executions(a, bias, vth, levels, data):
    """Every executed value lies in its proved range; without a possible wrap nothing wraps."""
    method = data.draw(st.sampled_from(methods_for(vth, levels)))
    program = multilevel_program(vth, levels, method=method)
    proof = prove(program, {"a": a, "bias": bias})
    drawn = [(data.draw(st.integers(*a)), data.draw(st.integers(*bias))) for _ in range(4)] + [
        (x, y) for x in a for y in bias
    ]
    for x, y in drawn:
        done = execute(program, {"a": x, "bias": y})
        for name, (low, high) in proof.registers.items():
            assert low <= int(done.registers[name]) <= high, name
        if done.sent:
            assert proof.payload[0] <= int(done.payload) <= proof.payload[1]
        if proof.safe:
            assert int(done.payload) == min(max((x + y) // vth, 0), levels)
    assert proof.payload[0] >= 0 and proof.payload[1] <= levels


def test_a_proof_for_the_ranges_of_a_real_layer():
    """Sums within an eighth of 24 bits, as the exporter scales them: no register can wrap."""
    program = multilevel_program(1000, 4)
    proof = prove(program, {"a": (-(1 << 20), 1 << 20), "bias": (-(1 << 20), 1 << 20)})
    assert proof.safe
    assert proof.payload == (0, 4)
    assert proof.final["v"] == (-(1 << 21), (1 << 21) - 4000)
    wrapping = prove(program, {"a": (0, STATE_MAX), "bias": (0, 1)})
    assert wrapping.wraps == (0,) and not wrapping.safe


WRONG = {
    "an unknown op": lambda: Instruction("div", "v", "v", 3),
    "an unknown condition": lambda: Instruction("skip", condition="gt", k=1),
    "a register that nobody wrote": lambda: Program(
        "p", (Instruction("add", "v", "u", 1),), ("a",)
    ),
    "a skip beyond the end": lambda: Program(
        "p", (Instruction("skip", condition="lt", k=1),), ("a",)
    ),
    "a constant that is written": lambda: Program(
        "p", (Instruction("move", "c", 1),), ("a",), (), {"c": 1}
    ),
    "state that is no input": lambda: Program("p", (), ("a",), ("v",)),
    "no threshold": lambda: multilevel_program(0, 4),
    "no levels": lambda: multilevel_program(5, 0),
    "a multiplier beyond 24 bits": lambda: multilevel_program(8_000_009, 100, method="multiply"),
    "shift for any threshold": lambda: multilevel_program(5, 4, method="shift"),
    "an input that is missing": lambda: execute(multilevel_program(5, 4), {"a": 1}),
    "a bound that is missing": lambda: prove(multilevel_program(5, 4), {"a": (0, 1)}),
    "a bound beyond 24 bits": lambda: prove(
        multilevel_program(5, 4), {"a": (0, 1 << 23), "bias": (0, 0)}
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_programs_that_cannot_be_are_refused(name):
    with pytest.raises((ConfigError, RangeError)):
        WRONG[name]()


def test_the_listing_names_everything():
    text = multilevel_program(1000, 4, timesteps=2, v0=500).listing()
    assert "multilevel-subtract-n4-state" in text and "c1 = 2000" in text
    assert text.count("\n") == 4 + len(multilevel_program(1000, 4, timesteps=2))
