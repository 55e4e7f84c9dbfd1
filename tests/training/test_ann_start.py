"""Starting as ReLUs: conversion keeps the function, up to the staircase of the levels."""

from __future__ import annotations

import copy

import pytest
import torch
from small_models import assert_same_integers, images
from test_training_loop import dataset

from lava_mlsnn.errors import ConfigError, DataError, FormatError, UnsupportedLayerError
from lava_mlsnn.export import connections, to_spec
from lava_mlsnn.models import ModelConfig, build_model
from lava_mlsnn.slayer import precision
from lava_mlsnn.training import TrainConfig, accuracy, as_relu, convert, load_model, train

SHAPE = (1, 8, 8)
NETWORKS = {
    "integrating": {},
    "shortcut neuron": {"shortcut_neuron": True},
    "re-spiking": {"barrier": "respiking", "barrier_threshold": 2.0},
    "sew": {"barrier": "sew"},
    "ms": {"barrier": "ms"},
    "none": {"barrier": "none"},
    "threshold": {"threshold": 0.5, "train_threshold": True},
    "deep": {"arch": "sparse-resnet-20"},
    "vgg": {"arch": "vgg-11", "input_shape": (1, 32, 32)},
}


def relu_network(levels, **settings):
    """A network with warm statistics, and its scores as ReLUs."""
    config = ModelConfig(
        **{"width": 4, "input_shape": SHAPE, "classes": 3, "levels": levels, **settings}
    )
    torch.manual_seed(0)
    model = build_model(config)
    x = torch.from_numpy(images(config.input_shape, 24))
    model.train()
    with as_relu(model), torch.no_grad():
        for _ in range(60):
            model(x)
    model.eval()
    return model, x, relu_scores(model, x)


def relu_scores(model, x):
    with as_relu(model), precision(model, "float"), torch.no_grad():
        return model.eval()(x)


@pytest.mark.parametrize("name", NETWORKS)
def test_conversion_leaves_the_relu_network_s_scores(name):
    model, x, wanted = relu_network(15, **NETWORKS[name])
    factors = convert(model, [x], 100)
    got = relu_scores(model, x)
    assert torch.allclose(got, wanted, rtol=2e-2, atol=2e-2 * float(wanted.abs().max()))
    assert set(factors) == {n for n, _, _ in connections(model)}
    assert any(c != 1 for c in factors.values())


@pytest.mark.parametrize("name", [n for n in NETWORKS if n not in ("ms", "deep")])
def test_at_many_levels_the_spiking_network_is_the_ann(name):
    distance = {}
    for levels in (3, 15, 127):
        model, x, wanted = relu_network(levels, v0="round", weight_bits=8, **NETWORKS[name])
        convert(model, [x], 100)
        with precision(model, "float"), torch.no_grad():
            got = model(x)
        distance[levels] = float((got - wanted).abs().mean() / wanted.std())
    assert distance[127] < 0.15 and distance[127] < 0.5 * distance[15] < 0.5 * distance[3]


def test_the_largest_payload_stands_for_the_percentile():
    model, x, _ = relu_network(7, barrier="none")
    convert(model, [x], 100)
    for name, population, _ in connections(model):
        if population.neuron is None:
            continue
        seen = []
        handle = population.register_forward_hook(
            lambda m, i, z, seen=seen: seen.append(float(z.max()))
        )
        relu_scores(model, x)
        handle.remove()
        assert max(seen) == pytest.approx(7, rel=2e-2), name


def test_conversion_looks_and_leaves_modes_and_hooks_as_they_were():
    model, x, _ = relu_network(4)
    model.train()
    before = copy.deepcopy(model.state_dict())
    convert(model, [x])
    assert model.training and not any(m._forward_hooks for m in model.modules())
    tracked = [k for k in before if "num_batches" in k]
    assert all(torch.equal(before[k], model.state_dict()[k]) for k in tracked)
    assert not any(getattr(m, "relu", False) for m in model.modules())


def test_relus_are_no_spiking_network_yet(tmp_path):
    """What is stopped before the conversion would be evaluated and exported as something else."""

    class StopError(Exception):
        pass

    def stop(report):
        raise StopError

    recipe = TrainConfig(epochs=4, batch_size=16, ann_epochs=2)
    config = ModelConfig(width=4, input_shape=(1, 6, 5), classes=2, input_levels=15)
    path = tmp_path / "model.pt"
    for done in (1, 2):
        with pytest.raises(StopError):
            train(config, dataset(32), recipe, checkpoint=path, report=stop, resume=True)
        if done == 1:
            with pytest.raises(FormatError, match=r"pt .*ReLUs.* 1 of the 2 epochs.*--resume"):
                load_model(path)
    model = load_model(path)
    to_spec(model)
    with as_relu(model), pytest.raises(UnsupportedLayerError, match=r"ReLUs inside as_relu"):
        to_spec(model)


@pytest.mark.parametrize("timesteps", [1, 3])
def test_a_start_as_relus_learns_and_ends_in_integers(timesteps):
    data = dataset(128)
    config = ModelConfig(
        width=4, input_shape=(1, 6, 5), classes=2, input_levels=15, timesteps=timesteps
    )
    recipe = TrainConfig(epochs=12, batch_size=16, lr=0.02, ann_epochs=6)
    model = train(config, data, recipe)
    assert accuracy(model, data.x_train, data.y_train) > 0.8
    assert_same_integers(model, data.x_test)


@pytest.mark.parametrize(
    ("batches", "says"),
    [
        ([], "at least one batch"),
        ([torch.full((2, *SHAPE), float("nan"))], "finite"),
        ([images(SHAPE, 2)], "must be tensors, got ndarray; torch.from_numpy"),
        ([torch.rand(8, 8)], r"4 axes.*\(8, 8\)"),
        ([torch.rand(0, *SHAPE)], "samples"),
    ],
)
def test_batches_that_measure_nothing_are_named_and_change_nothing(batches, says):
    model, _, _ = relu_network(4)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(DataError, match=says):
        convert(model, batches)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("percentile", [0, -1, 101, float("nan"), "99"])
def test_percentiles_outside_0_to_100_are_named(percentile):
    model, x, _ = relu_network(4)
    with pytest.raises(ConfigError, match="percentile must be a number above 0 and at most 100"):
        convert(model, [x], percentile)
