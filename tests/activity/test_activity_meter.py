"""What the meter counts, against counting by hand; and what it refuses."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import small_model
from strategies import network_specs, payloads

from lava_mlsnn.activity import ActivityMeter, Count, measure
from lava_mlsnn.errors import ConfigError, DataError, UnsupportedLayerError
from lava_mlsnn.export import to_spec
from lava_mlsnn.runner import IntegerRunner
from netx_export.spec import Conv, Dense, Flatten, Input, NetworkSpec, Population, Readout

SLOW = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))


def measured(spec, x):
    meter = ActivityMeter(spec)
    for _ in meter.follow(IntegerRunner(spec).iter_traces(x, batch_size=2), x):
        pass
    return meter.result()


@given(network_specs(), st.integers(0, 100))
@SLOW
def test_activity_is_what_counting_gives(spec, seed):
    x = payloads(spec, 5, seed)
    layers = dict(IntegerRunner(spec).trace(x).layers)
    layers["input"] = np.repeat(x[..., None], spec.timesteps, -1)
    found = measured(spec, x)
    assert found.samples == 5 and found.timesteps == spec.timesteps
    by_layer = {a.layer: a for a in found.layers}
    assert list(by_layer) == ["input", *(p.name for _, p in spec.populations)]
    events = total = operations = 0
    for name, a in by_layer.items():
        values = layers[name]
        count = sum(1 for v in values.flat if v != 0)
        assert a.neurons == values[0, ..., 0].size
        assert a.events == pytest.approx(count / 5)
        assert a.payload == pytest.approx(sum(abs(int(v)) for v in values.flat) / 5)
        assert a.density * a.neurons * spec.timesteps == pytest.approx(a.events)
        assert a.active <= a.events <= a.payload and a.events <= spec.timesteps * a.active
        if a.role in ("spikes", "relay"):
            events, total = events + count, total + a.neurons
    for _, layer in spec.populations:
        for synapse, s in zip(layer.synapses, by_layer[layer.name].synapses, strict=True):
            source = spec.layers[synapse.source]
            reached = synapse.fan_out(source.shape)
            sender = spec.layers[source.source] if isinstance(source, Flatten) else source
            sent = layers[sender.name].reshape(5, *source.shape, -1)
            done = int(((sent != 0) * reached[None, ..., None]).sum())
            weighed = int((np.abs(sent) * reached[None, ..., None]).sum())
            active = int(((sent != 0).any(-1) * reached).sum())
            assert s.source == sender.name and s.connections == reached.sum()
            assert s.operations.events == pytest.approx(done / 5)
            assert s.operations.payload == pytest.approx(weighed / 5)
            assert s.active_operations == pytest.approx(active / 5)
            stored = synapse.fan_out(source.shape, nonzero=True)
            effective = int(((sent != 0) * stored[None, ..., None]).sum())
            assert s.effective_operations == pytest.approx(effective / 5)
            operations += done
    assert found.operations.events == pytest.approx(operations / 5)
    assert found.events_per_neuron == pytest.approx(events / (5 * total) if total else 0)
    assert found.all.events == pytest.approx(events / 5)
    assert found.into_synapses.events <= found.all.events
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["samples"] == 5


def test_synaptic_operations_by_hand():
    """One event in a corner, payload 3, into a padded 3x3 convolution and on."""
    conv = Population(
        "conv", (2, 3, 3), (Conv(0, np.ones((2, 1, 3, 3), int), padding=(1, 1)),), Readout(False)
    )
    out = Population("out", (1,), (Dense(2, np.ones((1, 18), int)),), Readout())
    spec = NetworkSpec((Input((1, 3, 3), 7), conv, Flatten(1, (18,)), out))
    x = np.zeros((1, 1, 3, 3), int)
    x[0, 0, 0, 0] = 3
    found = measured(spec, x)
    # a corner reaches 2 x 2 positions of 2 channels; each of these 8 neurons sends a 3
    assert found["conv"].operations == Count(8, 24)
    assert found["conv"].count == Count(8, 24)
    assert found["out"].operations == Count(8, 24)  # into one neuron
    assert found["out"].count == Count(1, 24)
    assert found.operations == Count(16, 48)
    assert found.all == found.into_synapses == Count(8, 24)  # the input and output are not in it
    assert found.block_outputs == Count(0, 0) and found.blocks == ()


BLOCKS = {
    # barrier: populations that send into convolutions, and that leave a block
    "integrating": (["stem", "conv1", "conv2"], "conv2"),
    "none": (["stem", "conv1", "conv2"], "conv2"),
    "respiking": (["stem", "conv1", "barrier"], "barrier"),
    "sew": (["stem", "conv1", "barrier"], "barrier"),
    "ms": (["act", "conv1", "stream_end"], "conv2"),
}


@pytest.mark.parametrize("barrier", BLOCKS)
def test_the_three_counts_and_the_stages_of_every_residual_block(barrier):
    spec = to_spec(small_model(arch="sparse-resnet-20", barrier=barrier, steps=1))
    found = measured(spec, payloads(spec, 2))
    readers, leaves = BLOCKS[barrier]
    assert [(b.stage, b.block) for b in found.blocks] == [
        (s, b) for s in (1, 2, 3) for b in (1, 2, 3)
    ]
    assert all(b.layer == f"stage{b.stage}_block{b.block}.{leaves}" for b in found.blocks)
    sent = {a.layer: a.count for a in found.hidden}
    expected = sum(
        (c for n, c in sent.items() if n.rpartition(".")[2] in (*readers, "pool")), Count()
    )
    assert found.into_synapses == pytest.approx(expected)
    assert found.block_outputs == sum((sent[b.layer] for b in found.blocks), Count())
    assert found.all == sum(sent.values(), Count())
    assert found["stage1_block1.conv1"].operations.events > 0
    for b in found.blocks:
        layer = found[b.layer]
        assert b.density == layer.events / layer.neurons
        assert b.magnitude == layer.payload / layer.neurons


def test_max_pooling_is_no_block():
    """Its populations have dots in their names, too, and others read them."""
    model = small_model(arch="sparse-resnet-fast", steps=1, input_shape=(3, 16, 16))
    spec = to_spec(model)
    assert any(p.name.startswith("stage1_pool.") for _, p in spec.populations)
    found = measured(spec, payloads(spec, 2))
    assert [b.layer for b in found.blocks] == [f"stage{s}_block1.conv2" for s in (1, 2, 3)]


def test_sums_of_sew_are_relays_and_grow_along_a_stage():
    spec = to_spec(small_model(arch="sparse-resnet-20", barrier="sew", steps=1, branch_gain=1.0))
    found = measured(spec, payloads(spec, 4))
    assert found["stage1_block2.barrier"].role == "relay"
    stage = [b for b in found.blocks if b.stage == 1]
    assert stage[0].magnitude <= stage[1].magnitude <= stage[2].magnitude
    assert stage[0].density <= stage[1].density <= stage[2].density
    assert stage[2].magnitude > stage[0].magnitude  # sums of spikes cannot shrink


def test_wide_payloads_are_counted_exactly():
    """Payload times fan-out beyond 63 bits."""
    from lava_mlsnn.activity.summary import _dot

    counts, reached = np.array([2**40, 3]), np.array([2**30, 5])
    assert _dot(counts, reached) == 2**70 + 15
    assert _dot(np.array([2, 3]), np.array([4, 5])) == 23


@pytest.fixture(scope="module")
def spec():
    return to_spec(small_model(timesteps=2))


def test_what_is_missing_or_misshapen_is_named(spec):
    x = payloads(spec, 2)
    layers = IntegerRunner(spec).trace(x).layers
    with pytest.raises(DataError, match=r"input: .*give the input's payloads as x"):
        ActivityMeter(spec).add(layers)
    with pytest.raises(DataError, match=r"stem: .*every layer"):
        ActivityMeter(spec).add({n: z for n, z in layers.items() if n != "stem"}, x)
    with pytest.raises(DataError, match=r"stem: payloads must have shape \(2, 2, 6, 5, 2\)"):
        ActivityMeter(spec).add({**layers, "stem": layers["stem"][:1]}, x)
    with pytest.raises(DataError, match=r"stem: .*whole numbers"):
        ActivityMeter(spec).add({**layers, "stem": layers["stem"] + 0.5}, x)
    with pytest.raises(DataError, match="at least one sample"):
        ActivityMeter(spec).result()
    with pytest.raises(ConfigError, match="NetworkSpec"):
        ActivityMeter("network.net")
    with pytest.raises(ConfigError, match="'gpu'"):
        measure(spec, x / 15, backend="gpu")
    with pytest.raises(ConfigError, match="needs a model"):
        measure(spec, x / 15, backend="model")
    with pytest.raises(KeyError):
        measure(spec, x / 15)["nothing"]


def test_a_batch_that_is_refused_counts_nothing(spec):
    x = payloads(spec, 2)
    layers = IntegerRunner(spec).trace(x).layers
    meter = ActivityMeter(spec)
    meter.add(layers, x)
    with pytest.raises(DataError):
        meter.add({**layers, spec.output.name: layers[spec.output.name] + 0.5}, x)
    other = ActivityMeter(spec)
    other.add(layers, x)
    assert meter.result() == other.result() and meter.samples == 2
    assert math.isfinite(meter.result().events_per_neuron)


def without_timesteps(layers, x):
    return {n: z[..., :0] for n, z in layers.items()}, x[..., None][..., :0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without_timesteps, "at least one timestep"),
        (lambda layers, x: (None, x), "layers must be a dict"),
        (lambda layers, x: ([1], x), "layers must be a dict"),
        (lambda layers, x: (layers, "x"), "x: payloads must be an array of numbers"),
        (lambda layers, x: (layers, 5), "shape"),
        (lambda layers, x: ({**layers, "stem": None}, x), "stem: payloads must be an array"),
        (lambda layers, x: ({**layers, "stem": [[1], [1, 2]]}, x), "stem: payloads must be an"),
        (lambda layers, x: ({**layers, "stem": layers["stem"] * np.nan}, x), "whole numbers"),
    ],
)
def test_batches_that_are_none_are_named_and_count_nothing(spec, change, says):
    x = payloads(spec, 2)
    meter = ActivityMeter(spec)
    with pytest.raises(DataError, match=says):
        meter.add(*change(IntegerRunner(spec).trace(x).layers, x))
    assert meter.samples == 0


def test_lists_are_counted_as_arrays(spec):
    x = payloads(spec, 2)
    layers = IntegerRunner(spec).trace(x).layers
    lists, arrays = ActivityMeter(spec), ActivityMeter(spec)
    lists.add({n: z.tolist() for n, z in layers.items()}, x.tolist())
    arrays.add(layers, x)
    assert lists.result() == arrays.result()


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"backend": "model", "model": 5}, UnsupportedLayerError, "got int"),
        ({"bach_size": 3}, ConfigError, "runner has no option bach_size; it has batch_size, prog"),
        ({"layers": ()}, ConfigError, "no option layers"),
        ({"backend": "lava", "probes": True}, ConfigError, "lava has no option probes; it has tag"),
        ({"backend": ["runner"]}, ConfigError, "backend must be"),
    ],
)
def test_measurements_that_cannot_be_are_named(spec, options, error, says):
    with pytest.raises(error, match=says):
        measure(spec, payloads(spec, 1) / 15, **options)


def test_a_measurement_of_a_model_takes_no_options():
    model = small_model()
    spec = to_spec(model)
    with pytest.raises(ConfigError, match="model has no option batch_size; it has none"):
        measure(spec, payloads(spec, 1) / 15, backend="model", model=model, batch_size=3)
