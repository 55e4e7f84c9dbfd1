"""Mappings hold everything once, overfill no core, and lie between bound and greedy."""

from __future__ import annotations

import math
import time
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import network_specs
from test_demand_and_activity import connections, source_shape

from lava_mlsnn.errors import ConfigError, RangeError
from lava_mlsnn.loihi2 import limits_for
from lava_mlsnn.loihi2.fit.activity import assumed_activity, operations, row_events
from lava_mlsnn.loihi2.fit.cost import lower_bound
from lava_mlsnn.loihi2.fit.demand import HOST, demand_of
from lava_mlsnn.loihi2.fit.estimate import estimate
from lava_mlsnn.loihi2.fit.mapping import Mapping, balanced, greedy, loads_of
from lava_mlsnn.loihi2.fit.packing import Piece
from lava_mlsnn.loihi2.fit.traffic import needed, traffic_of

TIGHT = ("memory_per_core=400", "neurons_per_core=23", "groups_per_core=2")
ROOMY = ("groups_per_core=3",)


def held(mapping, groups):
    """{core: {group: rows}}, and that every row of every group is on exactly one core."""
    cores = defaultdict(lambda: defaultdict(list))
    for p in mapping.pieces:
        cores[p.core][p.group] += range(p.start, p.stop)
    for g, group in enumerate(groups):
        rows = sorted(r for core in cores.values() for r in core.get(g, []))
        assert rows == list(range(math.prod(group.shape[:2])))
    assert sorted(cores) == list(range(mapping.cores))
    return cores


def bits_of(core, groups, limits):
    """Memory of a core, written down from the docstring of demand.py, row by row."""
    bits = 0
    for g, rows in core.items():
        group = groups[g]
        neurons = len(rows) * group.shape[2]
        each = limits["weight_bits"] + limits["index_bits"]
        bits += neurons * (group.words * limits["word_bits"] + group.connections * each)
        bits += neurons * group.dense_readers * limits["axon_bits"] + limits["axon_bits"]
        channels = {row // group.shape[1] for row in rows}
        bits += len(channels) * group.kernel * limits["weight_bits"]
        bits += group.axons_in * limits["axon_bits"]
    return bits


def place(spec, overrides=(), cores=None):
    limits = limits_for("kapoho-point", overrides)
    groups = demand_of(spec)
    work = operations(groups, spec, assumed_activity(spec))
    loads = loads_of(groups, work, limits)
    made = [greedy(groups, loads, limits), balanced(groups, loads, limits, cores)]
    return limits, groups, work, loads, made


@settings(deadline=None, max_examples=60)
@given(network_specs(), st.sampled_from([ROOMY, TIGHT]), st.sampled_from([None, 1, 7, 40]))
def test_every_row_is_placed_once_and_no_core_is_overfull(spec, overrides, cores):
    try:
        limits, groups, _, loads, made = place(spec, overrides, cores)
    except RangeError as error:  # a row alone is too large for a tight core
        assert overrides is TIGHT and "must fit a core" in str(error)
        return
    bound = lower_bound(groups, limits)[0]
    for mapping in made:
        cores_held = held(mapping, groups)
        assert mapping.cores >= bound
        for number, core in cores_held.items():
            assert len(core) <= limits["groups_per_core"]
            neurons = sum(len(rows) * groups[g].shape[2] for g, rows in core.items())
            assert neurons <= limits.capacity["neurons"]
            assert bits_of(core, groups, limits) <= limits.capacity["memory"]
            assert sum(groups[g].axons_in for g in core) <= limits["axons_in_per_core"]
            load = sum(loads[g][row] for g, rows in core.items() for row in rows)
            assert mapping.loads[number] == pytest.approx(load)


@settings(deadline=None, max_examples=40)
@given(network_specs(), st.sampled_from([2, 5, 30]))
def test_traffic_is_what_the_connections_between_cores_carry(spec, cores):
    _, groups, _, _, made = place(spec, (), cores)
    activity = assumed_activity(spec)
    for mapping in made:
        traffic = traffic_of(mapping, groups, spec, activity)
        assert traffic.arriving.sum() == pytest.approx(traffic.total)
        from_host = traffic.sent[-1]
        assert traffic.leaving.sum() == pytest.approx(traffic.total - from_host)
        for p in mapping.pieces:
            group = groups[p.group]
            for link in group.links:
                shape = source_shape(groups, spec, link)
                matrix = connections(link, shape, group.shape)
                columns = matrix.reshape(matrix.shape[0], -1, group.shape[2])
                reached = columns[:, p.start : p.stop].any((1, 2))
                rows = reached.reshape(shape).any(2)
                heard = needed(p, group, link, shape[:2])
                assert not (rows & ~heard).any()  # whatever is connected is sent
                form = link.geometry
                small = max(form.padding) < min(shape[2], group.shape[2])
                if small and form.stride == (1, 1) and form.dilation == (1, 1):
                    np.testing.assert_array_equal(heard, rows)


def test_traffic_by_hand():
    """Two cores with half of the channels each: every event of the source goes to both."""
    from netx_export import Conv, Input, MultiLevel, NetworkSpec, Population, Readout

    conv = Population(
        "conv", (4, 4, 4), (Conv(0, np.ones((4, 1, 3, 3), int), padding=(1, 1)),),
        MultiLevel(1, [5], [0]),
    )  # fmt: skip
    out = Population("out", (2, 2, 2), (Conv(1, np.ones((2, 4, 3, 3), int)),), Readout())
    spec = NetworkSpec((Input((1, 4, 4), 1), conv, out), 1)
    groups, activity = demand_of(spec), assumed_activity(spec, 0.5)
    pieces = (Piece(0, 0, 0, 8), Piece(1, 0, 8, 16), Piece(0, 1, 0, 1), Piece(1, 1, 1, 4))
    traffic = traffic_of(Mapping("", pieces, np.ones(2)), groups, spec, activity)
    # the input's 16 events to both; conv's rows 0..2 to core 0 and all four to core 1
    events = 0.5 * 4  # a row of conv, per channel
    assert traffic.sent.tolist() == [4 * events * (3 + 4), 0, 32]
    assert traffic.arriving.tolist() == [16 + 4 * 3 * events, 16 + 4 * 4 * events]
    assert traffic.leaving.tolist() == [2 * 7 * events, 2 * 7 * events]
    assert row_events(groups[0], spec, activity).sum() == 32
    assert HOST == -1


@pytest.fixture(scope="module")
def resnet18():
    """Integers do not matter here, sizes do."""
    import torch

    from lava_mlsnn.models import ModelConfig, build_model
    from netx_export import to_spec

    torch.manual_seed(0)
    model = build_model(ModelConfig("sparse-resnet-18", (3, 32, 32)))
    model.train()
    with torch.no_grad():
        model(torch.rand(2, 3, 32, 32))
    return to_spec(model.eval())


@pytest.mark.timeout(120)
def test_resnet18_is_mapped_within_a_tenth_of_the_bound_and_better_than_greedy(resnet18):
    start = time.perf_counter()
    limits, groups, work, _, (by_hand, even) = place(resnet18)
    seconds = time.perf_counter() - start
    bound = lower_bound(groups, limits)[0]
    assert even.cores <= 1.1 * bound and even.cores <= limits.cores
    assert even.cores <= by_hand.cores and even.busiest < 0.5 * by_hand.busiest
    held(even, groups)
    activity = assumed_activity(resnet18)
    traffic = traffic_of(even, groups, resnet18, activity)
    figures = estimate(even, traffic, work, limits, 1, 19)
    assert figures.step_ns >= even.busiest
    assert figures.samples_per_second() == pytest.approx(1e9 / figures.step_ns)
    assert figures.latency_ns == pytest.approx(20 * figures.step_ns)
    assert math.isfinite(seconds)  # the time itself is reported in docs/loihi2.md


def test_an_estimate_by_hand():
    limits = limits_for("loihi2", ["message_ns=2", "step_ns=100"])
    mapping = Mapping("", (), np.array([50.0, 80.0]))
    traffic = type("T", (), {})()
    traffic.arriving, traffic.leaving, traffic.total = np.array([40.0, 0]), np.array([0, 15.0]), 55
    found = estimate(mapping, traffic, [np.array([3.0, 4.0])], limits, 4, 6)
    assert (found.step_ns, found.busiest, found.operations) == (130.0, 0, 7.0)  # 50 + 2 * 40
    assert found.samples_per_second() == pytest.approx(1e9 / 520)
    assert found.samples_per_second(1000.0) == pytest.approx(250_000)
    assert found.latency_ns == 1300.0
    idle = estimate(mapping, traffic, [], limits_for("loihi2", ["message_ns=0"]), 1, 1)
    assert idle.step_ns == 200.0  # the shortest timestep


@pytest.mark.parametrize(
    ("system", "limit", "words"),
    [
        ("loihi3", [], "system must be one of loihi2"),
        ("loihi2", ["cores"], "a limit is name=value"),
        ("loihi2", ["core_count=3"], "a limit is name=value"),
        ("loihi2", ["neurons_per_core=0"], r"in 1\.\."),
        ("loihi2", ["neurons_per_core=1.5"], "whole number"),
        ("loihi2", ["step_ns=nan"], "must be a number"),
        ("loihi2", ["delay=-1"], r"in 0\.\.1e\+09"),
        ("loihi2", ["axon_bits=1e15"], r"in 0\.\.10000"),
        ("loihi2", ["neurons_per_chip=5"], "at least cores_per_chip"),
    ],
)
def test_limits_that_cannot_be_are_refused(system, limit, words):
    with pytest.raises(ConfigError, match=words):
        limits_for(system, limit)


def test_limits_say_where_they_come_from():
    table = limits_for("hala-point", ["weight_bits=6", "chips=2"])
    assert table.cores == 240 and table["weight_bits"] == 6
    assert table.why("weight_bits") == "6 (given)"
    assert table.why("delay") == "62 (seen)"
    assert "--limit axon_bits=VALUE" in table.why("axon_bits")
    assert all(x.source and x.status for x in table.table.values())
