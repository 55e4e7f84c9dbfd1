"""Training model, integer runner and Lava have the same activity, to the last event."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from small_models import images, small_model
from strategies import network_specs, payloads

from lava_mlsnn.activity import ActivityMeter, measure
from lava_mlsnn.errors import ParityError
from lava_mlsnn.export import to_spec
from lava_mlsnn.runner import IntegerRunner
from lava_mlsnn.slayer.block import BARRIERS
from netx_export import lava_available, run_lava

GRID = [(b, n, t) for b in BARRIERS for n in (1, 4) for t in (1, 2)]
IN_LAVA = [
    pytest.mark.lava,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10"),
]


@pytest.mark.parametrize("barrier, levels, timesteps", GRID)
def test_model_and_runner_agree(barrier, levels, timesteps):
    model = small_model(barrier=barrier, levels=levels, timesteps=timesteps)
    spec = to_spec(model)
    data = images(spec.input.shape, 40, seed=2)  # more than one batch
    runner = measure(spec, data)
    assert runner == measure(spec, data, model=model, backend="model")
    assert runner.all.events > 0 and runner["input"].events > 0
    meter = ActivityMeter(spec)
    model.train()
    with meter.watch(model):
        assert not model.training
        for part in (data[:3], data[3:]):
            model(torch.from_numpy(part))
    assert model.training and not any(m._forward_hooks for m in model.modules())
    assert meter.result() == runner
    if levels == 1 and barrier in ("integrating", "none"):
        assert all(a.payload == a.events for a in runner.hidden if a.role == "spikes")


@pytest.mark.parametrize(
    "barrier, levels, timesteps",
    [pytest.param(*case, marks=IN_LAVA) for case in GRID],
)
def test_lava_and_runner_agree(barrier, levels, timesteps):
    spec = to_spec(small_model(barrier=barrier, levels=levels, timesteps=timesteps))
    data = images(spec.input.shape, 3, seed=2)
    assert measure(spec, data, backend="lava", timeout=60) == measure(spec, data)


@given(network_specs())
@settings(deadline=None, max_examples=4, suppress_health_check=list(HealthCheck))
@pytest.mark.lava
@pytest.mark.timeout(240)
@pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10")
def test_drawn_networks_agree_in_lava(spec):
    x = payloads(spec, 2)
    sides = [ActivityMeter(spec), ActivityMeter(spec)]
    for _ in sides[0].follow(IntegerRunner(spec).iter_traces(x), x):
        pass
    sides[1].add(run_lava(spec, x, probes=True, timeout=60).layers, x)
    assert sides[0].result() == sides[1].result()


def test_a_model_with_other_layers_is_refused():
    spec = to_spec(small_model())
    other = small_model(arch="sparse-resnet-20", steps=1)
    with pytest.raises(ParityError, match="stage1_block2"), ActivityMeter(spec).watch(other):
        pass


def test_the_model_is_left_as_it_was_after_an_error():
    model = small_model()
    model.train()
    meter = ActivityMeter(to_spec(model))
    with pytest.raises(ValueError, match="mine"), meter.watch(model):
        raise ValueError("mine")
    assert model.training and not any(m._forward_hooks for m in model.modules())
    assert all(p.precision == "integer" for p in model.modules() if hasattr(p, "precision"))


def test_a_tampered_model_has_another_activity():
    model = small_model()
    spec = to_spec(model)
    data = images(spec.input.shape, 8)
    before = measure(spec, data, model=model, backend="model")
    with torch.no_grad():
        model.blocks.stem.population.synapses[0].weight.mul_(-1)
    after = measure(spec, data, model=model, backend="model")
    assert before != after and before["input"] == after["input"]
    assert not np.isclose(before["stem"].payload, after["stem"].payload)
