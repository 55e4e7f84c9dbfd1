"""What layers ask of cores: against connections that are counted one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import network_specs, payloads

from lava_mlsnn.loihi2.fit.activity import EventRates, assumed_activity, operations
from lava_mlsnn.loihi2.fit.calibration import calibrate
from lava_mlsnn.loihi2.fit.demand import HOST, Group, Link, demand_of, fan_out
from lava_mlsnn.loihi2.program.programs import allocations_of
from lava_mlsnn.runner import IntegerRunner
from netx_export import ConvTranspose, Flatten, worst_case
from netx_export.spec.geometry import Geometry, rows_of
from netx_export.spec.kernels import conv2d

OFTEN = {"max_examples": 40, "deadline": None}


def connections(link, source, target):
    """How often each neuron of the source (rows) reaches each of the target, as a matrix."""
    inputs, outputs = math.prod(source), math.prod(target)
    form = link.geometry
    if form.storage == "matrix":
        return np.ones((inputs, outputs), int)
    if form.storage == "diagonal":
        return np.eye(inputs, dtype=int)
    if form.transposed:
        weight = np.ones((source[0], form.outer, *form.kernel), int)
        window = form.stride, form.padding, form.dilation, form.groups, form.output_padding
        one_hot = np.eye(inputs, dtype=int).reshape(inputs, *source)
        return ConvTranspose(0, weight, 0, *window).products(one_hot).reshape(inputs, outputs)
    weight = np.ones((target[0], form.inner, *form.kernel), int)
    one_hot = np.eye(inputs, dtype=int).reshape(inputs, *source)
    out = conv2d(one_hot, weight, form.stride, form.padding, form.dilation, form.groups)
    assert out.shape[1:] == target
    return out.reshape(inputs, outputs)


def source_shape(groups, spec, link):
    return rows_of(spec.input.shape) if link.source == HOST else groups[link.source].shape


@settings(**OFTEN)
@given(network_specs())
def test_operations_are_events_times_connections(spec):
    groups = demand_of(spec)
    rng = np.random.default_rng(0)
    drawn = {i: rng.uniform(0, 1, e.shape) for i, e in assumed_activity(spec).events.items()}
    activity = EventRates(drawn, 1)
    for group, found in zip(groups, operations(groups, spec, activity), strict=True):
        expected = 0
        for link in group.links:
            shape = source_shape(groups, spec, link)
            events = drawn[0] if link.source == HOST else activity.of(groups[link.source])
            expected = expected + events.reshape(-1) @ connections(link, shape, group.shape)
        expected = np.reshape(expected, group.shape).sum(2)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@settings(**OFTEN)
@given(network_specs())
def test_fan_in_and_fan_out_bound_every_neuron(spec):
    groups = demand_of(spec)
    leaving = [np.zeros(math.prod(g.shape)) for g in groups]
    for group in groups:
        arriving = 0
        for link in group.links:
            matrix = connections(link, source_shape(groups, spec, link), group.shape)
            arriving = arriving + matrix.sum(0)
            if link.source != HOST:
                leaving[link.source] += matrix.sum(1)
        assert np.max(arriving) <= group.fan_in
    for g in range(len(groups)):
        assert leaving[g].max(initial=0) <= fan_out(groups, g)


@pytest.mark.parametrize(
    ("stride", "dilation", "taps"), [((1, 1), (1, 1), 9), ((2, 2), (1, 1), 4), ((2, 2), (2, 2), 9)]
)
def test_fan_out_of_a_wide_convolution_is_met(stride, dilation, taps):
    source = Group("a", 1, (2, 16, 16), 2, (Link(HOST, Geometry(outer=2)),), 1)
    span = [d * 2 + 1 for d in dilation]
    size = tuple((16 - k) // s + 1 for k, s in zip(span, stride, strict=True))
    link = Link(0, Geometry(2, 5, 1, (3, 3), stride, (0, 0), dilation))
    target = Group("b", 2, (5, *size), 2, (link,), 2)
    matrix = connections(link, source.shape, target.shape)
    assert fan_out((source, target), 0) == matrix.sum(1).max() == 5 * taps
    assert target.fan_in == matrix.sum(0).max() == 18


@settings(**OFTEN)
@given(network_specs())
def test_words_and_weights_are_those_that_are_allocated(spec):
    allocated = allocations_of(spec)
    for group in demand_of(spec):
        if group.relay:
            assert group.words == 2 and group.connections == 1
            continue
        layer = spec.layers[group.layer]
        sums = 1 + max(link.delay for link in group.links)
        assert group.words == allocated[group.layer].words + sums
        stored = sum(
            s.weight.size * (math.prod(group.shape[1:]) if s.weight.ndim == 1 else 1)
            for s in layer.synapses
        )
        assert group.stored == stored


@settings(**OFTEN)
@given(network_specs())
def test_calibration_counts_the_events_of_the_runner_and_stays_in_the_worst_case(spec):
    x = payloads(spec, 3)
    found = calibrate(spec, x)
    trace = IntegerRunner(spec).trace(x)
    assert found.activity.samples == 3
    for worst in worst_case(spec):
        layer = spec.layers[worst.index]
        count = np.count_nonzero(trace.layers[layer.name])
        assert found.activity.events[worst.index].sum() * 3 * spec.timesteps == pytest.approx(count)
        for seen, limit in (
            (found.accumulator[worst.index], worst.accumulator),
            (found.state[worst.index], worst.state),
        ):
            assert limit[0] <= seen[0] <= seen[1] <= limit[1]
    assert not any(isinstance(spec.layers[i], Flatten) for i in found.activity.events)
