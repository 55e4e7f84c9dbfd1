"""The torch twin has the same integers, and NeuroBench finds on it what we count."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from small_models import small_model
from strategies import network_specs, payloads

from lava_mlsnn.activity import ActivityMeter
from lava_mlsnn.energy.neurobench import neurobench_metrics, neurobench_model
from lava_mlsnn.energy.twin import Twin
from lava_mlsnn.errors import ConfigError, DataError, UnsupportedLayerError
from lava_mlsnn.export import to_spec
from lava_mlsnn.runner import IntegerRunner
from netx_export.spec import Input, StockNeuron

LAWS = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))


def measured(spec, x):
    meter = ActivityMeter(spec)
    for _ in meter.follow(IntegerRunner(spec).iter_traces(x), x):
        pass
    return meter.result()


@given(network_specs(transposed=False))
@LAWS
def test_the_twin_gives_the_runner_s_integers(spec):
    x = payloads(spec, 3)
    expected = IntegerRunner(spec).run(x).output[..., -1]
    found = Twin(spec)(torch.from_numpy(x))
    assert np.array_equal(found.numpy(), expected)
    timed = np.repeat(x[..., None], spec.timesteps, -1)
    assert np.array_equal(Twin(spec)(torch.from_numpy(timed)).numpy(), expected)


@given(network_specs())
@LAWS
def test_metrics_are_within_what_they_can_be(spec):
    activity = measured(spec, payloads(spec, 3))
    found = json.loads(json.dumps(neurobench_metrics(spec, activity)))
    operations = found["synaptic_operations"]
    effective = operations["Effective_ACs"] + operations["Effective_MACs"]
    assert effective <= operations["Dense"] * (1 + 1e-12)
    assert 0 <= found["activation_sparsity"] <= 1 and 0 <= found["connection_sparsity"] <= 1
    assert found["parameter_count"] <= found["footprint"] <= 3 * found["parameter_count"]


@pytest.mark.parametrize(
    "levels, timesteps, barrier", [(1, 2, "none"), (4, 2, "integrating"), (4, 1, "sew")]
)
def test_neurobench_finds_the_same(levels, timesteps, barrier):
    pytest.importorskip("neurobench", reason="NeuroBench is not installed")
    from neurobench.metrics.static import ConnectionSparsity, Footprint
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations

    spec = to_spec(small_model(levels=levels, timesteps=timesteps, barrier=barrier))
    stem = spec.layers[1]
    weight = stem.synapses[0].weight.copy()
    weight[:, :, 0] = 0  # connections that do nothing
    sparse = replace(stem, synapses=(replace(stem.synapses[0], weight=weight),))
    spec = replace(spec, layers=(spec.layers[0], sparse, *spec.layers[2:]))
    x = payloads(spec, 5, seed=1)
    ours = neurobench_metrics(spec, measured(spec, x))
    model = neurobench_model(spec)
    model.register_hooks()
    batch = torch.from_numpy(x)
    scores = model(batch)
    theirs = SynapticOperations()(model, scores, (batch, None))
    # a batch whose payloads happen to be 0 and 1 counts as spikes there: compare the sum
    mine = ours["synaptic_operations"]
    assert theirs["Dense"] == pytest.approx(mine["Dense"])
    effective = theirs["Effective_MACs"] + theirs["Effective_ACs"]
    assert effective == pytest.approx(mine["Effective_MACs"] + mine["Effective_ACs"])
    assert theirs["Effective_ACs"] >= mine["Effective_ACs"] * (1 - 1e-12)
    assert effective < theirs["Dense"]
    assert ActivationSparsity()(model, scores, (batch, None)) == pytest.approx(
        ours["activation_sparsity"]
    )
    assert ConnectionSparsity()(model) == round(ours["connection_sparsity"], 4) > 0
    sized = [t.numel() for t in (*model.net.parameters(), *model.net.buffers())]
    assert Footprint()(model) == 8 * sum(sized) and sum(sized) == ours["parameter_count"]
    assert np.array_equal(scores.numpy(), IntegerRunner(spec).run(x).output[..., -1])


def test_binary_payloads_are_accumulates_and_graded_ones_multiply():
    spec = to_spec(small_model(levels=1, barrier="none", steps=1))
    found = neurobench_metrics(spec, measured(spec, payloads(spec, 3)))["synaptic_operations"]
    assert found["Effective_MACs"] > 0 and found["Effective_ACs"] > 0  # graded input and pool
    binary = replace(spec, layers=(Input(spec.input.shape, 1), *spec.layers[1:]))
    less = neurobench_metrics(binary, measured(binary, payloads(binary, 3)))["synaptic_operations"]
    assert less["Effective_MACs"] < found["Effective_MACs"]
    assert math.isclose(less["Dense"], found["Dense"])


def test_without_neurobench_one_sentence_says_how_to_get_it(tmp_path):
    code = (
        "import sys; sys.modules['neurobench'] = None\n"
        "from lava_mlsnn.energy.neurobench import neurobench_model\n"
        "from lava_mlsnn.errors import ConfigError\n"
        "try: neurobench_model(None)\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install --no-deps neurobench" in done.stdout


def test_what_does_not_fit_is_refused():
    spec = to_spec(small_model(steps=1))
    with pytest.raises(DataError, match=r"\(N, 1, 6, 5\)"):
        Twin(spec)(torch.zeros(2, 1, 5, 6))
    last = replace(spec.output, neuron=StockNeuron("CUBA"))
    with pytest.raises(UnsupportedLayerError, match=r"output.*CUBA"):
        Twin(replace(spec, layers=(*spec.layers[:-1], last)))
    other = to_spec(small_model(steps=1, barrier="sew"))
    with pytest.raises(ConfigError, match="same network"):
        neurobench_metrics(spec, measured(other, payloads(other, 1)))
