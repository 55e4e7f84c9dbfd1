"""Laws of the neuron Processes, on drawn inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("lava.magma")

from lava_mlsnn.proc import MultiLevelIF, Readout
from lava_mlsnn.proc.mlif.models import PyMultiLevelIFFixed, PyMultiLevelIFFloat
from lava_mlsnn.proc.readout.models import PyReadoutFixed, PyReadoutFloat
from netx_export.spec.neurons.step import multilevel_step
from netx_export.spec.widths import STATE_MAX, wrap24

SHAPE = (3, 2, 4)  # W, H, C

inputs = arrays(np.int64, (6, *SHAPE), elements=st.integers(-200, 200))
per_channel = arrays(np.int64, (4,), elements=st.integers(1, 120))
law = settings(max_examples=60, deadline=None)


@law
@given(inputs, per_channel, st.integers(1, 15), st.integers(1, 4), st.integers(0, 5), st.booleans())
def test_fixed_point_equals_floating_point_and_the_step_function(
    drive_neuron, a, vth, levels, timesteps, offset, half
):
    v0 = vth // 2 if half else vth * 0
    bias = vth - 60

    def make():
        return MultiLevelIF(
            SHAPE,
            vth,
            levels,
            v0=v0,
            bias_mant=bias,
            reset_interval=timesteps,
            reset_offset=offset,
        )

    fixed, model = drive_neuron(make(), PyMultiLevelIFFixed, a)
    floating, _ = drive_neuron(make(), PyMultiLevelIFFloat, a)
    v = np.broadcast_to(v0, SHAPE)
    for t, current in enumerate(a):
        if (t + 1 - offset) % timesteps == 0:
            v = np.broadcast_to(v0, SHAPE)
        z, v = multilevel_step(v, current + bias, vth, levels)
        np.testing.assert_array_equal(fixed[t], z)
    np.testing.assert_array_equal(fixed, floating)
    np.testing.assert_array_equal(model.v, v)
    assert model.overflows[0] == 0


@law
@given(inputs, st.integers(1, 300))
def test_one_level_is_binary_integrate_and_fire_with_soft_reset(drive_neuron, a, vth):
    neuron = MultiLevelIF(SHAPE, vth, 1, reset_interval=None)
    z, _ = drive_neuron(neuron, PyMultiLevelIFFixed, a)
    v = np.zeros(SHAPE, np.int64)
    for t, current in enumerate(a):
        v = v + current
        fired = v >= vth
        np.testing.assert_array_equal(z[t], fired)
        v = v - vth * fired


@pytest.mark.parametrize("levels", [1, 2, 4, 15])
@pytest.mark.parametrize("timesteps", [1, 2, 4])
def test_counts_take_all_levels_times_timesteps_plus_one_values(drive_neuron, levels, timesteps):
    top = levels * timesteps
    vth = 2 * timesteps  # a constant input of 2k crosses k thresholds in T steps
    drive = 2 * np.arange(top + 1)
    neuron = MultiLevelIF((top + 1,), vth, levels, reset_interval=timesteps)
    z, _ = drive_neuron(neuron, PyMultiLevelIFFixed, [drive] * timesteps)
    np.testing.assert_array_equal(z.sum(axis=0), np.arange(top + 1))


def test_every_neuron_has_its_own_threshold_and_bias(drive_neuron):
    vth = np.arange(1, 25).reshape(SHAPE)
    neuron = MultiLevelIF(SHAPE, vth, 127, bias_mant=vth * 3, bias_exp=1)
    z, _ = drive_neuron(neuron, PyMultiLevelIFFixed, [np.zeros(SHAPE)])
    np.testing.assert_array_equal(z[0], np.full(SHAPE, 6))


def test_a_negative_bias_exponent_is_a_floor(drive_neuron):
    neuron = MultiLevelIF((1,), 10, 4, bias_mant=-3, bias_exp=-1)
    _, model = drive_neuron(neuron, PyMultiLevelIFFixed, [[0]])
    assert model.v[0] == -2


@pytest.mark.parametrize("overflow, state", [("wrap", -(1 << 23) + 4), ("saturate", STATE_MAX)])
def test_integration_beyond_24_bits_is_wrapped_or_saturated_and_counted(
    drive_neuron, overflow, state
):
    neuron = MultiLevelIF(
        (2,), STATE_MAX, 1, v0=[STATE_MAX - 5, 0], reset_interval=None, overflow=overflow
    )
    z, model = drive_neuron(neuron, PyMultiLevelIFFixed, [[10, 10]])
    assert model.overflows[0] == 1
    assert model.v[0] + STATE_MAX * z[0][0] == state
    assert model.v[1] == 10


def test_a_sum_of_synapses_beyond_24_bits_wraps_and_is_counted(drive_neuron):
    neuron = MultiLevelIF((1,), 1 << 20, 7)
    z, model = drive_neuron(neuron, PyMultiLevelIFFixed, [[(1 << 24) + (1 << 21)]])
    assert z[0][0] == 2
    assert model.overflows[0] == 1


@law
@given(inputs, st.integers(1, 4), st.integers(0, 3), st.booleans())
def test_readout_sums_or_relays(drive_neuron, a, timesteps, offset, integrate):
    def make():
        return Readout(
            SHAPE,
            bias_mant=[1, -2, 3, 0],
            bias_exp=1,
            integrate=integrate,
            reset_interval=timesteps,
            reset_offset=offset,
        )

    fixed, _ = drive_neuron(make(), PyReadoutFixed, a)
    floating, _ = drive_neuron(make(), PyReadoutFloat, a)
    total = np.zeros(SHAPE, np.int64)
    for t, current in enumerate(a):
        if not integrate or (t + 1 - offset) % timesteps == 0:
            total = total * 0
        total = total + current + [2, -4, 6, 0]
        np.testing.assert_array_equal(fixed[t], total)
    np.testing.assert_array_equal(fixed, floating)


@pytest.mark.parametrize(
    "bits, value, count", [(8, 127, 0), (8, -129, 1), (16, 1 << 15, 1), (24, 1 << 23, 2)]
)
def test_readout_counts_what_its_message_cannot_hold(drive_neuron, bits, value, count):
    bias = 1 if bits == 24 else 0
    readout = Readout((1,), num_message_bits=bits, bias_mant=bias, reset_interval=1)
    inputs_ = [[value]] if bits < 24 else [[value], [value - 1]]
    sent, model = drive_neuron(readout, PyReadoutFixed, inputs_)
    assert sent[0][0] == wrap24(np.array(value)) + (bits == 24)
    assert model.overflows[0] == count


@pytest.mark.lava
@pytest.mark.parametrize("offset", [0, 1, 2, 6])
def test_reset_offset_means_what_it_means_in_lif_reset(offset):
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.lif.process import LIFReset
    from lava.proc.monitor.process import Monitor

    def voltages(neuron):
        monitor = Monitor()
        monitor.probe(neuron.v, 9)
        try:
            neuron.run(condition=RunSteps(9), run_cfg=Loihi2SimCfg(select_tag="floating_pt"))
            return monitor.get_data()[neuron.name]["v"].ravel().tolist()
        finally:
            neuron.stop()

    schedule = {"reset_interval": 4, "reset_offset": offset}
    stock = LIFReset(shape=(1,), vth=99, bias_mant=1, du=1, dv=0, **schedule)
    ours = MultiLevelIF((1,), 99, 1, bias_mant=1, **schedule)
    relay = Readout((1,), bias_mant=1, **schedule)
    assert voltages(ours) == voltages(stock) == voltages(relay)
