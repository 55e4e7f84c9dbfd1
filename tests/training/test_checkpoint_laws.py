"""A checkpoint is bounded by its file, compared before it is believed, and resumed whole."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import images

from lava_mlsnn.data import Dataset
from lava_mlsnn.errors import ConfigError, DataError, FormatError
from lava_mlsnn.models import ModelConfig, build_model
from lava_mlsnn.training import TrainConfig, load_model, train
from lava_mlsnn.training.checkpoint import load_checkpoint
from trust.soak.kills import equal

SHAPE = (1, 6, 5)
MODEL = ModelConfig(width=2, input_shape=SHAPE, classes=2, input_levels=15)
RECIPE = TrainConfig(epochs=3, batch_size=8, lr=0.02, shift=1, flip=True)


def dataset():
    x = images(SHAPE, 20, 0)
    y = (x[..., :2].mean((1, 2, 3)) > x[..., 3:].mean((1, 2, 3))).astype(np.int64)
    return Dataset("halves", x, y, x[:4], y[:4], ("right", "left"), 15)


class StoppedError(Exception):
    """As Ctrl-C would."""


def half_way(path, recipe, stop=1):
    def interrupt(epoch):
        if epoch.epoch == stop:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(MODEL, dataset(), recipe, checkpoint=path, report=interrupt)


RECIPES = {
    "adamw": {},
    "adamw, average": {"ema": 0.9},
    "sgd": {"optimiser": "sgd", "schedule": "cosine", "warmup": 1.0},
    "sgd without momentum": {"optimiser": "sgd", "momentum": 0.0, "schedule": "step"},
    "ReLUs first": {"ann_epochs": 1, "mixup": 0.2},
    "ReLUs longer": {"ann_epochs": 2},
}


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(sorted(RECIPES)), st.integers(1, 2), st.integers(0, 3))
def test_every_later_checkpoint_of_a_resumed_training_is_the_uninterrupted_one(
    tmp_path, name, stop, seed
):
    recipe = replace(RECIPE, seed=seed, **RECIPES[name])
    path, whole = tmp_path / "model.pt", {}

    def keep(epoch):
        whole[epoch.epoch] = load_checkpoint(path)

    path.unlink(missing_ok=True)
    train(MODEL, dataset(), recipe, checkpoint=path, report=keep)
    path.unlink()
    half_way(path, recipe, stop)

    def compare(epoch):
        assert equal(load_checkpoint(path), whole[epoch.epoch])
        assert whole[epoch.epoch]["schedule"]["_step_count"] >= 1

    train(MODEL, dataset(), recipe, checkpoint=path, resume=True, report=compare)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half")
    recipes = {"adamw": RECIPE, "sgd": replace(RECIPE, optimiser="sgd")}
    for name, recipe in recipes.items():
        half_way(folder / f"{name}.pt", recipe)
    return folder, recipes


def moments(change):
    def edit(content):
        state = content["optimiser"]["state"]
        state[0] = change(dict(state[0]))

    return edit


def drop(content):
    del content["optimiser"]["state"][3]


def beyond(content):
    state = content["optimiser"]["state"]
    state[len(state)] = state[0]


def weights(change):
    def edit(content):
        name = next(iter(content["model"]))
        content["model"][name] = change(content["model"][name])

    return edit


def repeated(value):
    return torch.zeros(1).expand(value.shape)


# name: (optimiser, what is done, what is said)
DAMAGES = {
    "AdamW's averages as nothing": ("adamw", moments(lambda m: {**m, "exp_avg": None}), "exp_avg"),
    "AdamW's averages as a number": ("adamw", moments(lambda m: {**m, "exp_avg": 3}), "exp_avg"),
    "AdamW's steps as a number": ("adamw", moments(lambda m: {**m, "step": 2}), "step"),
    "AdamW's steps of another time": (
        "adamw", moments(lambda m: {**m, "step": torch.tensor(9.0)}), "step .*is 9, not 2"),
    "AdamW's steps below 0": ("adamw", moments(lambda m: {**m, "step": -m["step"]}), "step"),
    "AdamW's squares below 0": (
        "adamw", moments(lambda m: {**m, "exp_avg_sq": -1 - m["exp_avg_sq"]}), "below 0"),
    "AdamW's averages as doubles": (
        "adamw", moments(lambda m: {**m, "exp_avg": m["exp_avg"].double()}), "float64"),
    "AdamW's averages repeated": (
        "adamw", moments(lambda m: {**m, "exp_avg": repeated(m["exp_avg"])}), "repeats"),
    "AdamW's averages sparse": (
        "adamw", moments(lambda m: {**m, "exp_avg": m["exp_avg"].to_sparse()}), "no array"),
    "a parameter without averages": ("adamw", drop, "holds 28 of 29 parameters after 2 steps"),
    "averages of no parameter": ("adamw", beyond, "holds 30 of 29"),
    "momentum as nothing": ("sgd", moments(lambda m: {"momentum_buffer": None}), "no array"),
    "weights as doubles": ("adamw", weights(torch.Tensor.double), "float64"),
    "weights repeated": ("adamw", weights(repeated), "repeats fewer numbers"),
    "weights as a list": ("adamw", weights(lambda w: [1]), "no array of numbers"),
    "names as text": ("adamw", lambda c: c.update(class_names="ab"), "class_names must be a list"),
    "names of more classes": ("adamw", lambda c: c.update(class_names=["a"]), "1 class names"),
    "options out of range": ("adamw", lambda c: c["train_config"].update(lr=-1.0), "lr must be"),
    "an option that is none": ("adamw", lambda c: c["train_config"].update(colour=1), "colour"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_checkpoint_of_another_training_is_named_before_a_step(tmp_path, checkpoints, name):
    folder, recipes = checkpoints
    kind, damage, says = DAMAGES[name]
    content = load_checkpoint(folder / f"{kind}.pt")
    damage(content)
    path = tmp_path / "model.pt"
    torch.save(content, path)
    with pytest.raises(FormatError, match=rf"model\.pt does not hold the training .*{says}") as e:
        train(MODEL, dataset(), recipes[kind], checkpoint=path, resume=True)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "config",
    [
        {"width": 1 << 14, "arch": "sparse-resnet-18"},
        {"input_shape": (1, 60000, 60000)},
        {"classes": 60000, "width": 1 << 14},
        {"arch": "vgg-16", "width": 1 << 14, "input_shape": (3, 32, 32)},
    ],
)
def test_shapes_are_compared_before_a_network_of_that_size_is_made(
    tmp_path, checkpoints, monkeypatch, config
):
    content = load_checkpoint(checkpoints[0] / "adamw.pt")
    content["config"] = {**content["config"], **config}
    path = tmp_path / "model.pt"
    torch.save(content, path)
    built = []

    def build(config):
        built.append(build_model(config))
        return built[-1]

    monkeypatch.setattr("lava_mlsnn.training.checkpoint.build_model", build)
    with pytest.raises(FormatError, match=r"model\.pt does not hold the parameters it should"):
        load_model(path)
    assert {p.device.type for model in built for p in model.parameters()} <= {"meta"}


def test_a_compressed_archive_is_no_checkpoint(tmp_path, checkpoints):
    """A megabyte of it could take a gigabyte of memory."""
    path = tmp_path / "model.pt"
    new = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(checkpoints[0] / "adamw.pt") as old, new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    with pytest.raises(FormatError, match=r"model\.pt is not a checkpoint"):
        load_model(path)


def test_a_file_larger_than_the_memory_is_named_before_it_is_read(checkpoints, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 1)
    with pytest.raises(DataError, match=r"the checkpoint .*adamw\.pt need .* memory"):
        load_checkpoint(checkpoints[0] / "adamw.pt")


class Evil:
    def __reduce__(self):
        return print, ("code of a stranger",)


def foreign():
    """Files of other programs that hold weights."""
    linear = torch.nn.Linear(2, 2)
    for content in (linear.state_dict(), {"state_dict": linear.state_dict(), "epoch": 3}, Evil()):
        data = io.BytesIO()
        torch.save(content, data)
        yield data.getvalue()
    data = io.BytesIO()
    torch.save(linear.state_dict(), data, _use_new_zipfile_serialization=False)
    yield data.getvalue()
    yield pickle.dumps({"kind": "lava-mlsnn checkpoint", "version": 1})


@pytest.mark.parametrize("number", range(5))
def test_a_foreign_checkpoint_is_one_sentence_and_runs_nothing(tmp_path, capsys, number):
    path = tmp_path / "model.pt"
    path.write_bytes(list(foreign())[number])
    with pytest.raises(FormatError, match=r"model\.pt is not a checkpoint of 'mlsnn train'") as e:
        load_model(path)
    assert "\n" not in str(e.value) and not capsys.readouterr().out


def nested(levels=60):
    """A few bytes in a file, 2**60 in print."""
    value = []
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.timeout(60)
@pytest.mark.parametrize("field", ["version", "config", "train_config", "dataset", "class_names"])
@pytest.mark.parametrize("inside", ["", "arch", "schedule", "lr"])
def test_no_content_of_a_checkpoint_is_printed_for_ever(tmp_path, checkpoints, field, inside):
    content = load_checkpoint(checkpoints[0] / "adamw.pt")
    if not inside:
        content[field] = nested()
    elif isinstance(content[field], dict):
        content[field][inside] = nested()
    else:
        content[field] = {inside: nested()}
    path = tmp_path / "model.pt"
    torch.save(content, path)
    with pytest.raises((ConfigError, FormatError), match=r"model\.pt") as error:
        train(MODEL, dataset(), RECIPE, checkpoint=path, resume=True)
    assert len(str(error.value)) < 1000


def test_names_in_a_checkpoint_are_plain_text_in_the_error(tmp_path, checkpoints):
    """What another library quotes of a file must not act on a terminal."""
    content = load_checkpoint(checkpoints[0] / "adamw.pt")
    content["model"]["\x1b[2Jcleared\x7f\u202e"] = torch.zeros(1)
    path = tmp_path / "model.pt"
    torch.save(content, path)
    with pytest.raises(FormatError, match=r"\\x1b\[2Jcleared\\x7f\\u202e") as error:
        load_model(path)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("many", [1, 3])
@pytest.mark.parametrize(
    "field",
    ["kind", "version", "epoch", "config", "train_config", "dataset", "class_names", "start"],
)
@pytest.mark.parametrize("inside", [False, True])
def test_an_array_where_a_value_is_compared_is_named(tmp_path, checkpoints, field, inside, many):
    """Arrays compare one by one, and have no truth."""
    content = load_checkpoint(checkpoints[0] / "adamw.pt")
    array = torch.ones(many, dtype=torch.int64)
    value = content.get(field)
    if inside and isinstance(value, dict):
        content[field] = {**value, next(iter(value)): array}
    else:
        content[field] = [array] if inside else array
    path = tmp_path / "model.pt"
    torch.save(content, path)
    for read in (load_model, load_checkpoint):
        with pytest.raises(FormatError, match=r"model\.pt (is not|holds an array in)"):
            read(path)
    with pytest.raises(FormatError, match=r"model\.pt (is not|holds an array in)"):
        train(MODEL, dataset(), RECIPE, checkpoint=path, resume=True)
