"""The start of training: it is what the docs say, and it leaves what was trained alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import assert_same_integers, images, warm

from lava_mlsnn.choices import BARRIERS
from lava_mlsnn.data import load_dataset
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.models import ARCHITECTURES, ModelConfig, build_model
from lava_mlsnn.models.config import OLD_START, StartWarning
from lava_mlsnn.models.start import identity_shortcuts
from lava_mlsnn.population.population import Population
from lava_mlsnn.slayer import precision
from lava_mlsnn.training import TrainConfig, train

IDENTITIES = {
    "sparse-resnet-small": 1,
    "sparse-resnet-8": 1,
    "sparse-resnet-fast": 3,
    "sparse-resnet-20": 7,
    "sparse-resnet-18": 5,
    "sparse-resnet-34": 13,
    "vgg-11": 0,
    "vgg-16": 0,
}


def norms(model):
    """Name, BatchNorm, threshold of its neurons over the number of their BatchNorms."""
    for name, population in model.named_modules():
        if isinstance(population, Population):
            vth = 1.0 if population.neuron is None else float(population.neuron.threshold)
            found = [s.norm for s in population.synapses if s.norm is not None]
            for index, norm in enumerate(found):
                yield f"{name}.{index}", norm, vth / len(found)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_gain_is_one_over_the_number_of_identity_shortcuts(arch):
    model = build_model(ModelConfig(arch=arch, width=1, input_shape=(1, 32, 32)))
    blocks = identity_shortcuts(model)
    assert len(blocks) == IDENTITIES[arch]
    small = {id(b.conv2.synapses[0].norm) for b in blocks}
    for _, norm, _ in norms(model):
        wanted = 1 / len(blocks) if id(norm) in small else 1.0
        assert torch.equal(norm.weight, torch.full_like(norm.weight, wanted))


@settings(deadline=None, max_examples=20)
@given(
    barrier=st.sampled_from(BARRIERS),
    gain=st.none() | st.floats(0.01, 2),
    bias=st.none() | st.floats(-2, 2),
    threshold=st.sampled_from([0.5, 1.0, 3.0]),
    v0=st.sampled_from(["auto", "floor", "round"]),
)
def test_the_start_is_what_was_asked_for_and_draws_nothing(barrier, gain, bias, threshold, v0):
    config = {"arch": "sparse-resnet-20", "width": 1, "barrier": barrier, "threshold": threshold}
    torch.manual_seed(0)
    old = build_model(ModelConfig(**config, **OLD_START))
    torch.manual_seed(0)
    new = build_model(ModelConfig(**config, branch_gain=gain, start_bias=bias, v0=v0))
    assert len(identity_shortcuts(new)) == (0 if barrier == "none" else 7)
    if bias is None:
        bias = 0.0 if barrier == "none" else -0.25
    for name, norm, share in norms(new):
        expected = norm.weight.detach() * (bias * share)
        torch.testing.assert_close(norm.bias.detach(), expected, msg=name)
    for (name, a), (_, b) in zip(new.named_parameters(), old.named_parameters(), strict=True):
        assert ".norm." in name or torch.equal(a, b), name
    for name, population in new.named_modules():
        if isinstance(population, Population) and population.neuron is not None:
            spikes = barrier == "respiking" and name.endswith("barrier")
            spikes |= barrier == "integrating" and any(
                s.weight is None for s in population.synapses
            )
            spikes |= barrier == "none"
            wanted = v0 if v0 != "auto" else "round" if spikes else "floor"
            assert population.neuron.v0 == wanted, name


@pytest.mark.parametrize("timesteps", [1, 3])
@pytest.mark.parametrize("barrier", ["integrating", "respiking", "sew"])
def test_at_the_start_a_block_with_an_identity_shortcut_is_the_identity(barrier, timesteps):
    """With gain 0 exactly; this is what rounding is for (V0 = 0 loses a level below 0)."""
    torch.manual_seed(0)
    config = ModelConfig(
        arch="sparse-resnet-20", width=4, barrier=barrier, branch_gain=0.0, timesteps=timesteps
    )
    model = build_model(config)
    x = torch.from_numpy(images((1, 8, 8), 8))
    seen = {}
    for name, block in model.blocks.named_children():
        block.register_forward_hook(lambda m, i, o, n=name: seen.update({n: (i[0], o)}))
    model.train()(x)
    for name, block in model.blocks.named_children():
        if block in identity_shortcuts(model):
            before, after = seen[name]
            assert before.count_nonzero() and torch.equal(before, after)


@pytest.mark.parametrize("gain", [0.0, 1e-6, None])
@pytest.mark.parametrize("bias", [0.0, -0.25])
def test_any_start_trains_and_exports_exactly(gain, bias):
    torch.manual_seed(0)
    config = ModelConfig(
        arch="sparse-resnet-20", width=2, input_levels=15, branch_gain=gain, start_bias=bias
    )
    x = images((1, 8, 8), 8)
    model = warm(build_model(config), x)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    with torch.no_grad(), precision(model, "float"):
        assert torch.isfinite(model(torch.from_numpy(x))).all()
    assert_same_integers(model, x)


def test_a_stored_network_without_a_start_has_the_old_one():
    stored = {k: v for k, v in ModelConfig(width=2).to_dict().items() if k not in OLD_START}
    assert ModelConfig.from_stored({**stored, "v0": "round"}) == ModelConfig(
        width=2, v0="round", branch_gain=1.0, start_bias=0.0
    )
    model = build_model(ModelConfig.from_stored(stored))
    for _, norm, _ in norms(model):
        assert bool((norm.weight == 1).all()) and not norm.bias.any()
    assert ModelConfig.from_stored(ModelConfig().to_dict()) == ModelConfig()
    with torch.device("meta"):  # how the shapes of a checkpoint are compared
        build_model(ModelConfig(width=2))


@pytest.mark.parametrize("name", ["branch_gain", "start_bias"])
@pytest.mark.parametrize("value", [float("nan"), "1", True, 1e9])
def test_a_start_that_is_no_number_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        ModelConfig(**{name: value})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"v0": "floor"}, "v0='floor' loses a level in each of 7 blocks"),
        ({"branch_gain": 1.0}, "branch_gain=1 lets 7 branches drown their shortcuts"),
        ({"barrier": "sew", "branch_gain": 1.0}, "branch_gain=1"),
        ({"barrier": "none"}, "barrier='none'"),
        ({}, ""),
        ({"barrier": "sew", "v0": "floor"}, ""),
        ({"arch": "sparse-resnet-small", **OLD_START}, ""),
        ({"arch": "sparse-resnet-small", "barrier": "none"}, ""),
        ({"arch": "vgg-16", **OLD_START}, ""),
    ],
    ids=str,
)
def test_options_that_are_known_not_to_train_say_so_before(options, says):
    config = ModelConfig(**{"arch": "sparse-resnet-20", **options})
    assert len(config.doubts()) == bool(says)
    assert not says or config.doubts()[0].startswith(says)
    model = build_model(ModelConfig(**{**config.to_dict(), "width": 1}))
    assert len(identity_shortcuts(model)) == config.identities


def test_training_warns_and_goes_on():
    data = load_dataset("digits")
    data = replace(data, x_train=data.x_train[:32], y_train=data.y_train[:32])
    config = ModelConfig(arch="sparse-resnet-20", width=1, input_levels=16, v0="floor")
    with pytest.warns(StartWarning, match="loses a level"):
        train(config, data, TrainConfig(epochs=1))


def test_a_training_from_before_goes_on_with_the_start_it_had(tmp_path):
    data = load_dataset("digits")
    data = replace(data, x_train=data.x_train[:40], y_train=data.y_train[:40])
    path, recipe = tmp_path / "model.pt", TrainConfig(epochs=1, batch_size=20)
    old = ModelConfig(width=1, input_levels=16, **OLD_START)
    train(old, data, recipe, checkpoint=path)
    content = torch.load(path, weights_only=True)
    for name in ("branch_gain", "start_bias"):  # options that the checkpoint is older than
        del content["config"][name]
    torch.save(content, path)
    train(old, data, recipe, checkpoint=path, resume=True)
    says = r"another network \(v0 = 'floor', branch_gain = 1.0, start_bias = 0.0\)"
    with pytest.raises(ConfigError, match=says):
        train(replace(old, v0="auto", branch_gain=None, start_bias=None), data, recipe,
              checkpoint=path, resume=True)  # fmt: skip
