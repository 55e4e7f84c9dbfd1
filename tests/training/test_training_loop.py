"""Training: reproducible, resumable to the bit, and its checkpoint is read with care."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from small_models import assert_same_integers, images, small_model

from lava_mlsnn.data import Dataset
from lava_mlsnn.errors import ConfigError, DataError, FormatError, RangeError
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.training.augment import augment
from lava_mlsnn.training.checkpoint import load_checkpoint, load_model, save_checkpoint
from lava_mlsnn.training.loop import TrainConfig, accuracy, train

SHAPE = (1, 6, 5)
MODEL = ModelConfig(width=2, input_shape=SHAPE, classes=2, input_levels=15)
RECIPE = TrainConfig(epochs=4, batch_size=16, lr=0.02, shift=1, flip=True)


def dataset(n=45, seed=0):
    """Two classes: brighter at the left or at the right."""
    x = images(SHAPE, n, seed)
    y = (x[..., :2].mean((1, 2, 3)) > x[..., 3:].mean((1, 2, 3))).astype(np.int64)
    return Dataset("halves", x, y, x[:20], y[:20], ("right", "left"), 15)


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) for k in a)


def test_the_seed_decides_everything():
    data = dataset()
    first = train(MODEL, data, RECIPE)
    torch.rand(5)  # what happened before does not matter
    assert same(first, train(MODEL, data, RECIPE))
    assert not same(first, train(MODEL, data, replace(RECIPE, seed=1)))
    assert not first.training


def test_training_learns_and_reports(tmp_path):
    reports = []
    data = dataset(128)
    recipe = replace(RECIPE, epochs=12, shift=0, flip=False)
    config = replace(MODEL, width=4)
    model = train(config, data, recipe, report=reports.append)
    assert [r.epoch for r in reports] == list(range(1, 13)) and reports[0].epochs == 12
    assert reports[-1].loss < reports[0].loss and reports[-1].accuracy > 0.8
    assert accuracy(model, data.x_train, data.y_train) > 0.8
    assert accuracy(model, data.x_train, data.y_train, "float") > 0.8
    assert_same_integers(model, data.x_test)


def test_mixed_precision_learns_and_exports_the_same_integers():
    data = dataset(128)
    recipe = replace(RECIPE, epochs=20, shift=0, flip=False, amp=True)
    model = train(replace(MODEL, width=4), data, recipe)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert accuracy(model, data.x_train, data.y_train) > 0.8
    assert_same_integers(model, data.x_test)


class StoppedError(Exception):
    """As Ctrl-C would."""


@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_training_is_the_uninterrupted_one_to_the_bit(tmp_path, stop):
    data, path = dataset(), tmp_path / "model.pt"
    whole = train(MODEL, data, RECIPE)

    def interrupt(epoch):
        if epoch.epoch == stop:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(MODEL, data, RECIPE, checkpoint=path, report=interrupt)
    assert load_checkpoint(path)["epoch"] == stop
    torch.rand(3)
    epochs = []
    resumed = train(
        MODEL, data, RECIPE, checkpoint=path, resume=True, report=lambda e: epochs.append(e.epoch)
    )
    assert epochs == list(range(stop + 1, 5))
    assert same(whole, resumed) and same(whole, load_model(path))
    again = train(MODEL, data, RECIPE, checkpoint=path, resume=True)  # nothing left to do
    assert same(whole, again)


def test_a_checkpoint_older_than_an_option_is_resumed_as_its_default(tmp_path):
    data, path = dataset(), tmp_path / "model.pt"
    whole = train(MODEL, data, RECIPE)
    recipe = asdict(RECIPE)
    del recipe["recalibrate"], recipe["amp"]

    def interrupt(epoch):
        content = load_checkpoint(path)
        content["train_config"] = recipe
        torch.save(content, path)
        raise StoppedError

    with pytest.raises(StoppedError):
        train(MODEL, data, RECIPE, checkpoint=path, report=interrupt)
    with pytest.raises(ConfigError, match="other options"):
        train(MODEL, data, replace(RECIPE, amp=True), checkpoint=path, resume=True)
    assert same(whole, train(MODEL, data, RECIPE, checkpoint=path, resume=True))


def test_resuming_something_else_is_refused(tmp_path):
    data, path = dataset(), tmp_path / "model.pt"
    recipe = replace(RECIPE, epochs=1)
    train(MODEL, data, recipe, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"model.pt.*another network \(levels = 4\)"):
        train(replace(MODEL, levels=8), data, recipe, checkpoint=path, resume=True)
    with pytest.raises(ConfigError, match=r"model.pt.*other options \(lr = "):
        train(MODEL, data, replace(recipe, lr=0.1), checkpoint=path, resume=True)
    assert path.read_bytes() == before


def test_options_that_cannot_work_are_named():
    for bad, says in (({"epochs": 0}, "epochs"), ({"batch_size": 1}, "batch_s"), ({"lr": 0}, "lr")):
        with pytest.raises(ConfigError, match=says):
            TrainConfig(**bad)
    with pytest.raises(DataError, match="at least 2 images"):
        train(MODEL, dataset(1), RECIPE)
    with pytest.raises(DataError, match="shape"):
        train(replace(MODEL, input_shape=(1, 8, 8)), dataset(), RECIPE)


def test_a_loss_that_leaves_the_floating_range_is_named():
    with pytest.raises(RangeError, match=r"loss.*epoch \d; lower lr$"):
        train(MODEL, dataset(), replace(RECIPE, lr=1e30, epochs=2))
    recipe = replace(RECIPE, lr=1e30, epochs=2, weight_decay=1e3, event_penalty=1.0)
    with pytest.raises(RangeError, match=r"lower lr or weight_decay or event_penalty$"):
        train(MODEL, dataset(), recipe)


def test_images_that_are_no_numbers_are_named_and_not_the_learning_rate():
    data = dataset()
    data.x_train[3] = np.nan
    with pytest.raises(DataError, match="images must be finite numbers, those of halves are not"):
        train(MODEL, data, replace(RECIPE, epochs=1))


@pytest.mark.parametrize(
    ("recipe", "options", "says"),
    [
        ({"shift": 5}, {}, "shift must be smaller than the images of halves, 6 x 5 pixels, got 5"),
        ({"shift": 100000}, {}, "shift must be smaller"),
        ({}, {"threads": 999999999}, "threads must be a whole number"),
        ({}, {"threads": -1}, "threads"),
        ({}, {"threads": 1.5}, "threads"),
    ],
)
def test_options_that_do_not_go_with_the_data_or_the_machine_are_named(recipe, options, says):
    with pytest.raises(ConfigError, match=says):
        train(MODEL, dataset(), replace(RECIPE, **recipe), **options)


@pytest.mark.parametrize("labels", [[0, 1, 2] * 15, [-1] * 45, [0] * 44])
def test_labels_that_do_not_go_with_the_images_are_named(labels):
    data = replace(dataset(), y_train=np.array(labels))
    with pytest.raises(DataError, match=r"halves: .*labels"):
        train(MODEL, data, RECIPE)


def no_memory():
    raise MemoryError


@pytest.mark.parametrize("need", [lambda: torch.empty(2**60), no_memory])
def test_a_training_too_large_for_the_memory_says_what_to_make_smaller(monkeypatch, need):
    from lava_mlsnn.training import session

    monkeypatch.setattr(session, "build_model", lambda config: need())
    with pytest.raises(ConfigError, match="make width, timesteps or batch_size smaller"):
        train(MODEL, dataset(), RECIPE)


def test_other_errors_of_torch_stay_what_they_are(monkeypatch):
    from lava_mlsnn.training import session

    monkeypatch.setattr(session, "build_model", lambda config: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        train(MODEL, dataset(), RECIPE)


RESUMED = replace(RECIPE, epochs=2, ema=0.9)


@pytest.fixture(scope="module")
def half_way(tmp_path_factory):
    """What a checkpoint after 1 of 2 epochs holds."""
    path = tmp_path_factory.mktemp("half") / "model.pt"

    def interrupt(epoch):
        raise StoppedError

    with pytest.raises(StoppedError):
        train(MODEL, dataset(), RESUMED, checkpoint=path, report=interrupt)
    return path


def nan(tensors, name):
    return {**tensors, name: tensors[name] * float("nan")}


def moment(content, name, value):
    state = content["optimiser"]["state"]
    return {**content["optimiser"], "state": {**state, 0: {**state[0], name: value}}}


DAMAGES = {
    "no epoch": ("epoch", None),
    "epoch below 1": ("epoch", lambda c: -5),
    "epoch beyond": ("epoch", lambda c: 99),
    "epoch not that of the schedule": ("epoch", lambda c: 2),
    "epoch as text": ("epoch", lambda c: "x"),
    "no average": ("ema", None),
    "average as a number": ("ema", lambda c: 3),
    "average of other steps": ("ema", lambda c: {**c["ema"], "steps": 77}),
    "average without weights": ("ema", lambda c: {"steps": 2}),
    "no optimiser": ("optimiser", None),
    "empty optimiser": ("optimiser", lambda c: {}),
    "optimiser of text": ("optimiser", lambda c: "x"),
    "moments of another shape": ("optimiser", lambda c: moment(c, "exp_avg", torch.zeros(3))),
    "moments missing": ("optimiser", lambda c: {**c["optimiser"], "state": {0: {}}}),
    "moments not finite": (
        "optimiser",
        lambda c: moment(c, "exp_avg", c["optimiser"]["state"][0]["exp_avg"] / 0),
    ),
    "no schedule": ("schedule", None),
    "schedule as a list": ("schedule", lambda c: [1]),
    "schedule of other steps": ("schedule", lambda c: {**c["schedule"], "last_epoch": 1}),
    "no generator": ("generator", None),
    "short generator": ("generator", lambda c: torch.zeros(3, dtype=torch.uint8)),
    "generator as a number": ("generator", lambda c: 1),
    "no configuration": ("config", None),
    "configuration as a number": ("config", lambda c: 3),
    "options as a number": ("train_config", lambda c: 3),
    "no weights": ("model", None),
    "empty weights": ("model", lambda c: {}),
    "weights as a number": ("model", lambda c: 5),
    "weights not finite": ("model", lambda c: nan(c["model"], next(iter(c["model"])))),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_resuming_a_damaged_checkpoint_names_the_file(tmp_path, half_way, name):
    field, change = DAMAGES[name]
    content = load_checkpoint(half_way)
    value = content.pop(field)
    if change is not None:
        content[field] = change({**content, field: value})
    path = tmp_path / "model.pt"
    torch.save(content, path)
    before = path.read_bytes()
    says = r"model.pt does not hold the \w+ it should.*train anew into another folder"
    with pytest.raises(FormatError, match=says) as error:
        train(MODEL, dataset(), RESUMED, checkpoint=path, resume=True)
    assert "\n" not in str(error.value) and path.read_bytes() == before


def test_resuming_with_more_images_is_refused(half_way):
    with pytest.raises(FormatError, match="steps of the schedule"):
        train(MODEL, dataset(90), RESUMED, checkpoint=half_way, resume=True)


@pytest.mark.parametrize("shift", [1, 3])
def test_shifted_images_are_windows_of_the_padded_ones(shift):
    x = torch.rand(9, 2, 5, 4)
    generator = torch.Generator().manual_seed(0)
    offsets = torch.randint(
        0, 2 * shift + 1, (9, 2), generator=torch.Generator().manual_seed(0)
    ).tolist()
    padded = torch.nn.functional.pad(x, (shift,) * 4)
    moved = augment(x, TrainConfig(shift=shift), generator)
    for image, whole, (a, b) in zip(moved, padded, offsets, strict=True):
        assert torch.equal(image, whole[:, a : a + 5, b : b + 4])


def test_a_dataset_smaller_than_a_batch_trains():
    model = train(MODEL, dataset(5), replace(RECIPE, epochs=1))
    assert_same_integers(model, dataset(5).x_test)


def test_a_checkpoint_gives_back_the_model(tmp_path):
    model = small_model(train_threshold=True, timesteps=2)
    save_checkpoint(tmp_path / "a.pt", model, {"epoch": 3})
    back = load_model(tmp_path / "a.pt")
    x = torch.from_numpy(images((1, 6, 5)))
    assert back.config == model.config and torch.equal(back(x), model(x))
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]  # no temporary file


def saved(tmp_path, **changes):
    model = small_model(steps=1)
    path = tmp_path / "model.pt"
    save_checkpoint(path, model, {"epoch": 1, **changes})
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "a cake"}, "not a checkpoint of 'mlsnn train'"),
        ({"version": 99}, "has version 99, this lava-mlsnn reads 1"),
        ({"config": None}, "parameters it should"),
        ({"config": {"colour": 1}}, "colour"),
        ({"config": {"levels": "4"}}, "parameters it should"),
        ({"config": ModelConfig(width=3).to_dict()}, "parameters it should.*size mismatch"),
        ({"model": {}}, "parameters it should.*Missing key"),
        ({"model": 5}, "parameters it should"),
        ({"model": small_model(steps=1).state_dict() | {"x": torch.tensor(np.nan)}}, 'key.*"x"'),
    ],
)
def test_a_checkpoint_with_other_content_is_named(tmp_path, changes, says):
    path = saved(tmp_path, **changes)
    with pytest.raises(FormatError, match=rf"model.pt.*{says}"):
        load_model(path)


def test_a_checkpoint_that_is_missing_or_no_checkpoint_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"no checkpoint .*gone.pt"):
        load_checkpoint(tmp_path / "gone.pt")
    with pytest.raises(FormatError, match="no checkpoint"):
        load_checkpoint(tmp_path)
    for content in (b"", b"hello", b"PK\x03\x04", b"\x80\x02}q\x00."):
        (tmp_path / "x.pt").write_bytes(content)
        with pytest.raises(FormatError, match=r"x.pt is not a checkpoint"):
            load_checkpoint(tmp_path / "x.pt")
    for other in (torch.nn.Linear(2, 2), [1, 2], {"kind": 1}):
        torch.save(other, tmp_path / "y.pt")
        with pytest.raises(FormatError, match=r"y.pt is not a checkpoint"):
            load_checkpoint(tmp_path / "y.pt")


def test_damaged_bytes_are_found_or_harmless(tmp_path):
    path = saved(tmp_path)
    whole, x = path.read_bytes(), torch.from_numpy(images((1, 6, 5)))
    wanted = load_model(path)(x)
    rng = np.random.default_rng(0)
    found = 0
    for k in range(150):
        data = bytearray(whole)
        if k % 3 == 0:
            data = data[: rng.integers(len(data))]
        else:
            place = rng.integers(len(data))
            data[place] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        try:
            got = load_model(path)
        except FormatError:
            found += 1
        else:
            assert torch.equal(got(x), wanted)
    assert found > 100
