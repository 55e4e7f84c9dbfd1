"""The parity check finds what was tampered with, and says where and by how much."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_models import images, small_model, warm

from lava_mlsnn.errors import ConfigError, DataError, ParityError
from lava_mlsnn.export import to_spec
from lava_mlsnn.parity import check_parity
from lava_mlsnn.parity.check import training_trace
from lava_mlsnn.parity.report import compare
from lava_mlsnn.runner import IntegerRunner, encode
from lava_mlsnn.slayer import block
from netx_export.spec import MultiLevel, NetworkSpec, Population
from netx_export.spec.timing import depths


@pytest.fixture(scope="module")
def model():
    return small_model(timesteps=2, width=3)


@pytest.fixture(scope="module")
def spec(model):
    return to_spec(model)


@pytest.fixture(scope="module")
def data():
    return images((1, 6, 5), 40, seed=3)  # more than one batch


def tampered(spec, name, change):
    """The network with one layer changed."""
    layers = tuple(
        change(layer) if isinstance(layer, Population) and layer.name == name else layer
        for layer in spec.layers
    )
    return replace(spec, layers=layers)


def weight(layer):
    first = layer.synapses[0]
    changed = first.weight.copy()
    changed[0] = -changed[0]
    return replace(layer, synapses=(replace(first, weight=changed), *layer.synapses[1:]))


def bias(layer):
    old = np.zeros(layer.shape[0], int) if layer.bias is None else layer.bias
    return replace(layer, bias=old + 4000)


def threshold(layer):
    neuron = layer.neuron
    return replace(layer, neuron=MultiLevel(neuron.levels, neuron.vth // 2, neuron.v0))


def test_an_honest_export_has_no_difference(model, spec, data):
    report = check_parity(spec, data, model=model)
    assert report.count == 0 and report.first is None and report.differences == []
    assert report.samples == {"training": 40}
    assert report.layers == [spec.input.name, *(p.name for _, p in spec.populations)]
    size = sum(int(np.prod(p.shape)) for _, p in spec.populations) + 30
    assert report.compared == 40 * 2 * size + 40 * 3  # and what model(x) returns
    assert "no difference" in str(report)
    report.raise_if_different()
    assert json.loads(json.dumps(report.to_dict()))["differences"] == 0


@pytest.mark.parametrize("change", [weight, bias, threshold])
@pytest.mark.parametrize("name", ["stem", "stage2_block1.conv1", "stage3_block1.conv2"])
def test_the_first_layer_that_was_tampered_with_is_named(model, spec, data, name, change):
    other = tampered(spec, name, change)
    report = check_parity(other, data, model=model)
    first = report.first
    assert report.count > 0 and first.layer == name and first.side == "training"
    # the place and the values are those of two independent runs
    ours = IntegerRunner(other, "wrap").trace(encode(other, data)).layers[name]
    theirs = IntegerRunner(spec).trace(encode(spec, data)).layers[name]
    place = (first.sample, *first.neuron, first.timestep)
    assert (first.runner, first.other) == (ours[place], theirs[place])
    assert first.runner != first.other
    earlier = np.moveaxis(ours != theirs, -1, 1)  # sample, timestep, neuron
    index = np.ravel_multi_index((first.sample, first.timestep, *first.neuron), earlier.shape)
    assert not earlier.ravel()[:index].any()
    assert first.count == np.count_nonzero(ours != theirs) and first.total == ours.size
    assert first.largest == np.abs(ours - theirs).max()
    text = str(report)
    for part in (name, f"sample {first.sample}", f"timestep {first.timestep}", "neuron ("):
        assert part in text
    with pytest.raises(ParityError, match=name):
        report.raise_if_different()
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["per_layer"][0]["layer"] == name and plain["differences"] == report.count


def test_layers_are_ordered_by_depth_not_by_their_place_in_the_file(model, spec, data):
    """The same network with its layers written in another order."""
    n = len(spec.layers)
    order = [0, *range(n - 2, 0, -1), n - 1]
    new = {old: k for k, old in enumerate(order)}

    def moved(layer):
        if isinstance(layer, Population):
            arms = tuple(replace(s, source=new[s.source]) for s in layer.synapses)
            return replace(layer, synapses=arms)
        return replace(layer, source=new[layer.source]) if layer.sources else layer

    shuffled = NetworkSpec(tuple(moved(spec.layers[k]) for k in order), spec.timesteps)
    assert check_parity(shuffled, data[:4], model=model).count == 0
    report = check_parity(tampered(shuffled, "stem", bias), data[:4], model=model)
    assert report.first.layer == "stem"
    depth = dict(zip((x.name for x in shuffled.layers), depths(shuffled), strict=True))
    found = [depth[d.layer] for d in report.differences]
    assert found == sorted(found)


def test_a_tampered_input_is_the_first_difference(model, spec, data):
    half = replace(spec, layers=(replace(spec.input, gain=3.0), *spec.layers[1:]))
    assert check_parity(half, data[:3], model=model).first.layer == spec.input.name


def test_one_changed_integer_of_one_sample_is_found():
    a = np.zeros((2, 3, 2, 2, 4), np.int64)
    b = a.copy()
    b[1, 2, 0, 1, 3] = -7
    found = compare("x", "lava", a, b)
    assert (found.sample, found.timestep, found.neuron) == (1, 3, (2, 0, 1))
    assert (found.runner, found.other, found.largest, found.count) == (0, -7, 7, 1)
    assert compare("x", "lava", a, a) is None
    with pytest.raises(ParityError, match="layer x"):
        compare("x", "lava", a, b[:1])


def test_the_model_is_left_as_it_was(model, spec, data):
    model.train()
    try:
        check_parity(spec, data[:2], model=model)
        assert model.training
        assert not any(m._forward_hooks for m in model.modules())
    finally:
        model.eval()


def test_another_model_is_refused_by_the_names_that_differ(spec, data):
    deeper = small_model(arch="sparse-resnet-20", timesteps=2, width=3, steps=1)
    with pytest.raises(ParityError, match="stage1_block2"):
        check_parity(spec, data, model=deeper)


def test_a_model_that_sends_fractions_is_an_error_not_a_rounding():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        OrderedDict(
            input=block.Input((4,), 15, 15.0),
            hidden=block.Dense({"levels": 4}, 4, 5),
            output=block.Output(5, 2),
        )
    )
    x = images((4,), 6)
    warm(model, x[..., None])
    spec = to_spec(model)
    neuron = model.hidden.population
    neuron._forward_integer = lambda *a, real=neuron._forward_integer: real(*a) + 0.25
    with pytest.raises(ParityError, match=r"hidden.*not integers"):
        training_trace(model, spec, x)


def test_unusable_samples_are_a_data_error(model, spec):
    with pytest.raises(DataError, match=r"\(N, 1, 6, 5\)"):
        check_parity(spec, np.zeros((1, 1, 5, 5)), model=model)
    with pytest.raises(DataError, match="NaN"):
        check_parity(spec, np.full((1, 1, 6, 5), np.nan), model=model)


def test_a_check_with_nothing_to_compare_with_finds_no_difference_to_report():
    spec = to_spec(small_model(steps=1))
    with pytest.raises(ConfigError, match="a side to compare"):
        check_parity(spec, images(spec.input.shape, 2))
