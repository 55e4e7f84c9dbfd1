"""Each thing that does not fit is refused with its reason, and its remedy fits."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import network_specs, payloads

from lava_mlsnn.errors import ConfigError, MLSNNError
from lava_mlsnn.loihi2 import limits_for, multilevel_program, preflight, prove, write_mapping
from lava_mlsnn.loihi2.fit.demand import demand_of
from lava_mlsnn.loihi2.fit.layers import needed_weight_bits
from lava_mlsnn.loihi2.fit.remedies import fewest_cores, narrower
from netx_export import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    StockNeuron,
)


def network(levels=4, width=4, weight=2, exp=0, relays=0, timesteps=1, size=6, vth=60):
    """Stem, a chain of convolutions, and a shortcut around them that waits."""
    rng = np.random.default_rng(0)
    neuron = MultiLevel(levels, [vth], [0])
    same = {"padding": (1, 1)}
    shape = (width, size, size)

    def kernel(inputs):
        w = weight * rng.integers(-9, 9, (width, inputs, 3, 3))
        w[0, 0, 0, :2] = -10 * weight, 9 * weight
        return w

    layers = [Input((2, size, size), 7)]
    layers.append(Population("stem", shape, (Conv(0, kernel(2), exp, **same),), neuron))
    for i in range(relays):
        layers.append(Population(f"deep{i}", shape, (Conv(i + 1, kernel(width), **same),), neuron))
    arms = (Conv(relays + 1, kernel(width), **same), Identity(1, [1] * width))
    layers.append(Population("sum", shape, arms, neuron))
    layers.append(Flatten(relays + 2, (width * size * size,)))
    out = Dense(relays + 3, rng.integers(-9, 9, (3, width * size * size)))
    layers.append(Population("out", (3,), (out,), Readout()))
    return NetworkSpec(tuple(layers), timesteps)


def findings(spec, *overrides, system="loihi2", **options):
    return preflight(spec, limits_for(system, overrides), **options).findings


def only(found, check):
    chosen = [f for f in found if f.check == check]
    assert chosen and all(f.message and f.remedy for f in chosen)
    return chosen


def test_a_small_network_fits_and_says_so():
    report = preflight(network(), limits_for("oheo-gulch"))
    assert report.fits and report.findings == [] and report.samples == 0
    assert set(report.placed) == {"greedy", "balanced", "all cores"}
    assert report.placed["all cores"].mapping.cores <= 120
    assert json.loads(json.dumps(report.to_dict()))["fits"] is True
    row = {r.name: r for r in preflight(network(relays=1), limits_for()).layers}["sum"]
    assert (row.delay, row.fan_in, row.weight_exp) == (1, 4 * 9 + 1, "0 0")


@settings(deadline=None, max_examples=25)
@given(network_specs(transposed=False))
def test_drawn_networks_fit_and_their_samples_stay_in_the_worst_case(spec):
    report = preflight(spec, limits_for("kapoho-point"), payloads(spec, 2))
    assert not [f for f in report.findings if f.check not in ("exponent", "neuron program")]
    for row in report.layers:
        if row.worst_bits is not None:
            assert row.observed_bits <= row.worst_bits <= 24
    assert report.samples == 2


def test_more_weight_bits_than_the_chip_has():
    found = only(findings(network(weight=12), "weight_bits=6"), "weights")
    assert found[0].where == "layer 1 (stem)"
    assert "-120..108 of synapse 0 need 7 bits, the limit is 6 (given)" in found[0].message
    assert found[0].remedy == "train with weight_bits=6"


@pytest.mark.parametrize(
    ("weight", "bits"),
    [([0, 1], 1), ([0, 255], 8), ([-255, 0], 8), ([-128, 127], 8), ([-256, 254], 8), ([-2, 2], 2),
     ([-8, 7], 4), ([0], 1)],
)  # fmt: skip
def test_weight_bits_by_hand(weight, bits):
    assert needed_weight_bits(np.array(weight)) == bits


def test_an_exponent_beyond_the_table():
    (found,) = only(findings(network(exp=3), "weight_exp_max=2"), "exponent")
    assert "synapse 0 has the exponent 3, the limit is 2 (given)" in found.message


def test_an_accumulator_that_can_overflow_names_what_samples_showed():
    spec = network(levels=1 << 15, weight=12, vth=1)
    (first, *_) = only(findings(spec), "accumulator")
    assert "must fit 24 bits, but can reach" in first.message
    over = int(re.search(r"it is (\d+) bits? over", first.remedy)[1])
    assert f"by {2**over}" in first.remedy
    quiet = np.zeros((3, 2, 6, 6), np.int64)
    seen = only(findings(spec, payload=quiet), "accumulator")
    assert "(3 samples needed 1 bits)" in seen[0].message
    fewer = network(levels=(1 << 15) >> over, weight=12, vth=1)
    assert not [f for f in findings(fewer) if f.where == first.where]


def test_a_narrower_state_than_24_bits():
    report = preflight(network(), limits_for("loihi2", ["state_bits=9"]))
    widest = {r.name: r.worst_bits for r in report.layers}
    refused = {f.where.split("(")[1][:-1] for f in only(report.findings, "accumulator")}
    assert refused == {name for name, bits in widest.items() if bits > 9} and refused


def test_a_shortcut_that_waits_too_long():
    (found,) = only(findings(network(relays=6), "delay=5"), "delay")
    assert "synapse 1 waits 6 timesteps, the limit is 5 (given)" in found.message
    assert not findings(network(relays=5), "delay=5")


def test_payloads_wider_than_messages():
    found = only(findings(network(levels=300), "message_bits=8"), "payload")
    assert "payloads 0..300 need messages of 16 bits, the limit is 8 (given)" in found[0].message
    assert found[-1].where == "layer 4 (out)"  # its scores are 24 bits wide


def test_thresholds_that_no_program_can_hold():
    spec = network()
    neuron = MultiLevel(100, [60, 200_000, 60, 60], [0] * 4)
    stem = replace(spec.layers[1], neuron=neuron)
    spec = NetworkSpec((spec.layers[0], stem, *spec.layers[2:]))
    (found,) = only(findings(spec), "neuron program")
    assert "half of N times vth" in found.message and "fewer levels" in found.remedy


def test_neurons_of_lava_dl_are_placed_but_have_no_program():
    neuron = StockNeuron("CUBA", {"iDecay": 7, "vDecay": 7, "vThMant": 7})
    lif = Population("lif", (3,), (Dense(0, np.ones((3, 4), int)),), neuron)
    out = Population("out", (2,), (Dense(1, np.ones((2, 3), int)),), neuron)
    spec = NetworkSpec((Input((4,), 1), lif, out))
    found = findings(spec, payload=np.ones((1, 4), int))
    assert {f.check for f in found} == {"neuron program"} and len(found) == 2


def test_a_row_that_fits_no_core(tmp_path):
    report = preflight(network(), limits_for("loihi2", ["axons_in_per_core=100"]))
    (found,) = only(report.findings, "core")
    assert "layer out" in found.where and "144 axons in of 100" in found.message
    assert report.placed == {}
    with pytest.raises(ConfigError, match="no mapping"):
        write_mapping(tmp_path / "m.json", report)
    assert not (tmp_path / "m.json").exists()


def test_what_is_said_to_fit_does_fit():
    spec = network(width=16, timesteps=4)
    limits = limits_for("loihi2", ["cores_per_chip=2", "memory_per_core=8000"])
    report = preflight(spec, limits)
    (found,) = only(report.findings, "cores")
    assert f"no mapping fewer than {report.bound}" in found.message
    part = int(re.search(r"(\d+)/16 of the channels", found.remedy)[1])
    groups = demand_of(spec)
    assert fewest_cores(narrower(groups, part / 16), limits) <= 2
    assert fewest_cores(narrower(groups, (part + 1) / 16), limits) > 2
    # the same as a network that really is so narrow
    real = demand_of(network(width=part, timesteps=4))
    assert fewest_cores(real, limits) <= 2
    assert "it fits kapoho-point (8 chips)" in found.remedy
    assert preflight(spec, replace(limits, chips=8)).fits


def test_one_timestep_is_suggested_where_it_helps():
    spec = network(width=16, timesteps=4)
    memory = next(
        m
        for m in range(8000, 60000, 200)
        if fewest_cores(
            demand_of(replace(spec, timesteps=1)),
            limits_for("loihi2", [f"memory_per_core={m}", "cores_per_chip=2"]),
        )
        <= 2
    )
    (found,) = only(findings(spec, f"memory_per_core={memory}", "cores_per_chip=2"), "cores")
    assert "T = 1 with N = 4 times as large needs 2 cores" in found.remedy


def test_a_written_mapping_holds_every_neuron(tmp_path):
    report = preflight(network(width=16), limits_for("loihi2", ["memory_per_core=9000"]))
    write_mapping(tmp_path / "m.json", report)
    content = json.loads((tmp_path / "m.json").read_text())
    assert content["format"] == "lava-mlsnn mapping" and len(content["cores"]) > 2
    assert [(c["chip"], c["core"]) for c in content["cores"]] == [
        divmod(i, 120) for i in range(len(content["cores"]))
    ]
    count = {}
    for core in content["cores"]:
        for part in core["holds"]:
            size = sum(
                (b["channels"][1] - b["channels"][0]) * (b["lines"][1] - b["lines"][0])
                for b in part["boxes"]
            )
            width = next(g.shape[2] for g in report.groups if g.name == part["layer"])
            assert part["neurons"] == size * width
            count[part["layer"]] = count.get(part["layer"], 0) + part["neurons"]
    assert count == {r.name: r.neurons for r in report.layers}
    with pytest.raises(MLSNNError):
        write_mapping(tmp_path / "none" / "m.json", report)


# -- arguments of another kind ---------------------------------------------------------
@pytest.mark.parametrize("cores", [0, -1, 1.5, float("nan"), "3", True])
def test_cores_that_are_no_count(cores):
    with pytest.raises(ConfigError, match="cores must be a whole number"):
        preflight(network(), limits_for("loihi2"), cores=cores)


@pytest.mark.parametrize(
    "call",
    [
        lambda: preflight(None, limits_for()),
        lambda: preflight(network(), "loihi2"),
        lambda: limits_for([]),
        lambda: limits_for("loihi2", [3]),
        lambda: limits_for("loihi2", None),
        lambda: limits_for("loihi2", "chips=3"),
        lambda: write_mapping("a", None),
        lambda: write_mapping(None, preflight(network(), limits_for())),
        lambda: write_mapping("a", preflight(network(), limits_for()), ["x"]),
    ],
)
def test_arguments_of_another_kind(call):
    with pytest.raises(ConfigError):
        call()


@pytest.mark.parametrize("bound", [None, 5, (1,), (1, 2, 3), (0.5, 1.5), ("a", "b")])
def test_bounds_that_are_none(bound):
    program = multilevel_program(10, 2)
    with pytest.raises(MLSNNError, match="must be two whole numbers"):
        prove(program, dict.fromkeys(program.inputs, bound))


def test_bounds_may_be_numpy_integers():
    program = multilevel_program(10, 2)
    small = dict.fromkeys(program.inputs, (np.int8(-128), np.int8(127)))
    plain = dict.fromkeys(program.inputs, (-128, 127))
    assert prove(program, small) == prove(program, plain)
