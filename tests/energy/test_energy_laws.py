"""Laws of the energy model on drawn networks, its constants, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from small_models import small_model
from strategies import network_specs, payloads

from lava_mlsnn.activity import ActivityMeter, Count
from lava_mlsnn.energy import (
    Constants,
    Design,
    ann_energy,
    energies,
    read_constants,
    snn_energy,
    structure,
    zero_skip_energy,
)
from lava_mlsnn.energy.design import DELAYS, PAYLOADS
from lava_mlsnn.energy.structure import width
from lava_mlsnn.errors import ConfigError, UnsupportedLayerError
from lava_mlsnn.export import to_spec
from lava_mlsnn.runner import IntegerRunner
from netx_export import write
from netx_export.spec import Input, MultiLevel, StockNeuron

LAWS = settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
designs = st.builds(
    Design, st.sampled_from(PAYLOADS), st.booleans(), st.sampled_from(DELAYS), st.booleans()
)


def measured(spec, x):
    meter = ActivityMeter(spec)
    for _ in meter.follow(IntegerRunner(spec).iter_traces(x), x):
        pass
    return meter.result()


def louder(activity, factor):
    """The same activity with every count multiplied."""

    def times(count):
        return replace(count, events=count.events * factor, payload=count.payload * factor)

    layers = [
        replace(
            a,
            events=a.events * factor,
            payload=a.payload * factor,
            active=a.active * factor,
            synapses=tuple(
                replace(
                    s,
                    arriving=times(s.arriving),
                    operations=times(s.operations),
                    active_operations=s.active_operations * factor,
                )
                for s in a.synapses
            ),
        )
        for a in activity.layers
    ]
    return replace(activity, layers=tuple(layers))


@given(network_specs(transposed=False), designs, st.integers(0, 50))
@LAWS
def test_energy_is_affine_in_events_and_rises_with_them(spec, design, seed):
    activity = measured(spec, payloads(spec, 3, seed))
    assume(activity.operations.events > 0)
    at = [snn_energy(spec, louder(activity, k), design=design).total for k in (0, 1, 2)]
    assert 0 <= at[0] < at[1] < at[2]
    assert at[2] - at[1] == pytest.approx(at[1] - at[0])
    if not design.as_published:
        skip = [zero_skip_energy(spec, louder(activity, k), design=design).total for k in (0, 1)]
        assert 0 < skip[0] < skip[1]


@given(network_specs(levels=1, residual=False), st.integers(0, 50))
@LAWS
def test_variants_coincide_where_payloads_are_0_and_1(spec, seed):
    binary = replace(spec, layers=(Input(spec.input.shape, 1), *spec.layers[1:]))
    activity = measured(binary, payloads(binary, 3, seed))
    found = {p: snn_energy(binary, activity, design=Design(payload=p)).total for p in PAYLOADS}
    assert set(found.values()) == {found["mac"]}


@given(network_specs(), st.integers(0, 50))
@LAWS
def test_variants_are_ordered(spec, seed):
    """A smaller multiplier costs less, more messages read more."""
    activity = measured(spec, payloads(spec, 3, seed))
    found = {p: snn_energy(spec, activity, design=Design(payload=p)) for p in PAYLOADS}
    assert found["small"].total <= found["mac"].total
    # equal but for plain sums of graded messages, which take one addition an event
    assert found["adds"].part("operations") <= found["burst"].part("operations") * (1 + 1e-12)
    # accesses are those of events in all but burst
    reads = {p: energy.count("weight reads") for p, energy in found.items()}
    assert reads["mac"] == reads["small"] == reads["adds"] <= reads["burst"]


@given(network_specs(timesteps=1))
@LAWS
def test_skipping_zeros_at_density_1_is_the_dense_network(spec):
    """All neurons active: every multiply-accumulate of the dense ANN, and its energy."""
    dense = zero_skip_energy(spec, None)
    shapes = structure(spec)
    activity = measured(spec, payloads(spec, 1))
    by_name = {n.name: n for n in shapes.nodes}
    full = replace(
        activity,
        layers=tuple(
            replace(
                a,
                synapses=tuple(
                    replace(s, active_operations=float(link.connections))
                    for s, link in zip(a.synapses, by_name[a.layer].links, strict=True)
                ),
            )
            if a.layer in by_name
            else a
            for a in activity.layers
        ),
    )
    skipping = zero_skip_energy(spec, full)
    assert skipping.total == pytest.approx(dense.total)
    kinds = ("multiply-accumulates", "additions", "weight reads", "input reads")
    assert [skipping.count(k) for k in kinds] == [dense.count(k) for k in kinds]
    real = zero_skip_energy(spec, activity)
    assert real.total <= dense.total * (1 + 1e-12)
    # the int8 ANN computes the same connections, whatever its widths
    plain = ann_energy(spec)
    computed = kinds[:2]
    assert sum(plain.count(k) for k in computed) == sum(dense.count(k) for k in computed)
    assert plain.count("input reads") == sum(k.connections for n in shapes.nodes for k in n.links)


@given(network_specs(), st.integers(0, 50))
@LAWS
def test_counts_are_those_of_the_activity(spec, seed):
    activity = measured(spec, payloads(spec, 3, seed))
    energy = snn_energy(spec, activity)
    done = activity.operations.events
    updates = spec.timesteps * sum(n.neurons for n in structure(spec).nodes)
    assert energy.count("potential reads") == pytest.approx(done + updates)
    assert energy.count("address additions") == pytest.approx(done)
    assert energy.count("additions") + energy.count("multiply-accumulates") == pytest.approx(done)
    spikes = sum(a.events for a in activity.layers if a.role == "spikes")
    assert energy.count("resets") == pytest.approx(spikes)
    assert energy.total == pytest.approx(sum(e.total for e in energy.layers))
    assert energy.total == pytest.approx(sum(energy.kinds().values()))
    columns, rows = energy.table()
    assert rows[-1][-1] == pytest.approx(energy.total / 1000) and len(rows[0]) == len(columns)
    assert json.loads(json.dumps(energy.to_dict(), allow_nan=False))["nJ"] == energy.nanojoule


@given(network_specs(), st.floats(0.1, 10))
@LAWS
def test_energy_scales_with_the_constants(spec, factor):
    activity = measured(spec, payloads(spec, 2))
    names = ("add_8", "add_32", "mul_8", "mul_32", "sram_slope", "sram_offset")
    c = Constants()
    other = c.replaced({n: getattr(c, n).value * factor for n in names})
    for name, energy in energies(spec, activity).items():
        scaled = energies(spec, activity, other)[name]
        assert scaled.total == pytest.approx(factor * energy.total)


@pytest.mark.parametrize("barrier", ["integrating", "respiking", "sew", "ms", "none"])
@pytest.mark.parametrize("design", [Design(), Design(as_published=True)], ids=["ours", "original"])
def test_residual_synapses_are_charged_here_and_free_in_the_original(barrier, design):
    spec = to_spec(small_model(barrier=barrier, steps=1))
    activity = measured(spec, payloads(spec, 2))
    found = energies(spec, activity, design=design)
    assert list(found) == ["snn", "ann", "zero-skip"][: 2 if design.as_published else 3]
    quiet = {"arriving": Count(), "operations": Count()}
    silent = replace(
        activity,
        layers=tuple(
            replace(
                a,
                synapses=tuple(
                    replace(s, **quiet) if s.kind == "identity" else s for s in a.synapses
                ),
            )
            for a in activity.layers
        ),
    )
    less = snn_energy(spec, silent, design=design).total
    if barrier == "none" or design.as_published:
        assert less == found["snn"].total
    else:
        assert less < found["snn"].total


def test_widths():
    assert [width(p) for p in ((0, 1), (0, 4), (0, 7), (0, 8), (-1, 1), (-128, 127))] == [
        *(1, 3, 3, 4, 2, 8)
    ]


def test_constants_are_read_replaced_and_written(tmp_path):
    file = tmp_path / "constants.json"
    file.write_text(json.dumps({"add_32": 0.5, "mul_8": {"value": 1, "source": "a datasheet"}}))
    c = read_constants(file)
    assert c.add(24) == 0.5 and c.mul(8) == 1 and c.mul_8.source == "a datasheet"
    assert c.add_32.source == str(file) and c.add_8 == Constants().add_8
    file.write_text(json.dumps(c.to_dict()))
    assert read_constants(file) == c
    assert all(k.unit and k.source for k in vars(c).values())


def test_energies_of_widths():
    c = Constants()
    assert (c.add(1), c.add(8), c.add(9), c.add(24)) == (0.03, 0.03, 0.1, 0.1)
    assert (c.mul(8), c.mul(9)) == (0.2, 3.1)
    assert c.mul_small(8, 8) == pytest.approx(0.2) and c.mul_small(3, 8) == pytest.approx(0.075)
    assert c.mul_small(32, 32) == pytest.approx(3.1)
    assert c.access(1000, 8) == pytest.approx(1.09e-5 * 8000 + 13.2)


WRONG = {
    "unknown name": ('{"add_64": 1}', "add_64"),
    "text for a number": ('{"add_8": "much"}', "add_8 must be a number"),
    "negative": ('{"add_8": -1}', "at least 0"),
    "not finite": ('{"add_8": NaN}', "got nan"),
    "too wide": ('{"weight_bits": 64}', "weight_bits must be .* at least 1 and at most 32"),
    "another unit": ('{"add_8": {"value": 1, "unit": "nJ"}}', "must be in pJ"),
    "unknown field": ('{"add_8": {"value": 1, "sauce": "?"}}', "add_8"),
    "no value": ('{"add_8": {"source": "?"}}', "have a value"),
    "huge": ('{"sram_slope": 1e308}', r"sram_slope must be .* at most 1e\+12"),
    "infinite": ('{"add_8": 1e999}', "add_8"),
    "400 digits": ('{"add_8": 1' + 400 * "0" + "}", "add_8 must be .* at most"),
    "5000 digits": ('{"add_8": 1' + 5000 * "0" + "}", "add_8|cannot be read"),
    "null": ('{"add_8": null}', "add_8 must be a number"),
    "nested": (100_000 * "[", "cannot be read"),
    "a list": ("[1]", "JSON object"),
    "no JSON": ("add_8 = 1", "cannot be read"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_constants_are_named_with_their_file(tmp_path, name):
    content, says = WRONG[name]
    file = tmp_path / "constants.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=says) as error:
        read_constants(file)
    assert str(error.value).startswith(str(file)) and "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone.json: .*No such file"):
        read_constants(tmp_path / "gone.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bytes.json: .*cannot be read"):
        read_constants(tmp_path / "bytes.json")


def test_activity_of_another_network_is_refused():
    spec = to_spec(small_model(steps=1))
    activity = measured(spec, payloads(spec, 2))
    for other, says in (
        (to_spec(small_model(steps=1, barrier="sew")), "layer"),
        (to_spec(small_model(steps=1, width=3)), "stem"),
        (replace(spec, timesteps=2), "T = 2"),
    ):
        for model in (snn_energy, zero_skip_energy):
            with pytest.raises(ConfigError, match=says):
                model(other, activity)


def test_designs_and_neurons_that_do_not_exist_are_refused():
    with pytest.raises(ConfigError, match="payload"):
        Design(payload="half")
    with pytest.raises(ConfigError, match="delay"):
        Design(delay="none")
    spec = to_spec(small_model(steps=1))
    last = replace(spec.output, neuron=StockNeuron("CUBA"))
    with pytest.raises(UnsupportedLayerError, match=r"output.*CUBA"):
        ann_energy(replace(spec, layers=(*spec.layers[:-1], last)))
    with pytest.raises(ConfigError, match="NetworkSpec"):
        ann_energy("network.net")


def test_levels_change_widths_only_where_they_are_used():
    """More levels: wider messages and more comparisons, the same dense ANN."""
    spec = to_spec(small_model(steps=1, levels=1))

    def raised(layer):
        if isinstance(getattr(layer, "neuron", None), MultiLevel):
            return replace(layer, neuron=replace(layer.neuron, levels=15))
        return layer

    other = replace(spec, layers=tuple(raised(layer) for layer in spec.layers))
    assert ann_energy(other).total == ann_energy(spec).total
    activity = measured(spec, payloads(spec, 2))
    small, large = snn_energy(spec, activity), snn_energy(other, activity)
    assert large.count("comparisons") == 4 * small.count("comparisons")
    assert large.count("queue reads") == small.count("queue reads")
    queue = [sum(t.energy for t in e.terms if t.kind == "queue reads") for e in (small, large)]
    assert queue[0] < queue[1]
    assert np.isfinite(large.total)


def test_the_model_needs_no_torch(tmp_path):
    """A file and its dense ANN: NumPy is enough."""
    write(to_spec(small_model(steps=1)), tmp_path / "a.net")
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['lava'] = None\n"
        "from lava_mlsnn.activity import ActivityMeter\n"
        "from lava_mlsnn.energy import ann_energy\n"
        "from netx_export import read\n"
        "spec = read(sys.argv[1]); ActivityMeter(spec)\n"
        "print(ann_energy(spec).total > 0)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.net")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("values", [None, 3, [("add_8", 1)], {3: 1, "x": 2}, {"add_8": 10**5000}])
def test_replacements_that_are_none_are_named(values):
    with pytest.raises(ConfigError, match=r"constants|add_8"):
        Constants().replaced(values)
    with pytest.raises(ConfigError, match="path"):
        read_constants(None)


def test_constants_may_be_given_as_plain_numbers():
    c = Constants(add_8=0.5)
    assert c.add(8) == 0.5 and c.add_8.unit == "pJ" and c.to_dict()["add_8"]["value"] == 0.5


@pytest.mark.parametrize("largest", [0, 1e12])
@pytest.mark.parametrize("published", [False, True])
def test_energies_are_finite_whatever_constants_are_taken(largest, published):
    spec = to_spec(small_model(steps=1))
    names = [n for n in Constants().to_dict() if not n.endswith("_bits")]
    c = Constants().replaced(dict.fromkeys(names, largest))
    found = energies(spec, measured(spec, payloads(spec, 2)), c, Design(as_published=published))
    assert all(np.isfinite(e.total) for e in found.values())


def test_what_is_no_activity_constants_or_design_is_named():
    spec = to_spec(small_model(steps=1))
    activity = measured(spec, payloads(spec, 2))
    with pytest.raises(ConfigError, match="expected an Activity, got NoneType"):
        energies(spec, None)
    with pytest.raises(ConfigError, match="finite"):
        energies(spec, louder(activity, float("nan")))
    for wrong in ({"add_8": 1}, 0):
        with pytest.raises(ConfigError, match="constants must be Constants"):
            energies(spec, activity, wrong)
    with pytest.raises(ConfigError, match="design a Design, got Constants and str"):
        energies(spec, activity, None, "mac")
