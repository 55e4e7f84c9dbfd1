"""The same pictures under other names: the same accuracy, or a refusal."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import images, small_model

from lava_mlsnn.cli.console import Console
from lava_mlsnn.cli.data import test_samples as samples_for  # no test of its own
from lava_mlsnn.data import Dataset, match_classes
from lava_mlsnn.data.class_names import names_of
from lava_mlsnn.errors import ConfigError, DataError, FormatError
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.training import TrainConfig, accuracy, load_model, train
from lava_mlsnn.training.checkpoint import load_checkpoint, save_checkpoint
from netx_export import NetworkSpec, read, to_spec, write

NAMES = ("ant", "bee", "cow")
SHAPE = (1, 6, 5)


def dataset(names=NAMES, n=40):
    """Three classes of stripes, numbered in the order of their names."""
    rng = np.random.default_rng(0)
    kind = np.arange(n) % 3
    x = images(SHAPE, n, 0) * np.float32(0.2)
    x[np.arange(n), 0, kind * 2] = 1
    order = rng.permutation(n)
    y = np.array([sorted(names).index(name) for name in names])[kind]
    classes = tuple(sorted(names))
    return Dataset("stripes", x[order], y[order], x, y, classes, 15)


@pytest.fixture(scope="module")
def trained():
    config = ModelConfig(width=4, input_shape=SHAPE, classes=3, input_levels=15)
    model = train(config, dataset(), TrainConfig(epochs=12, batch_size=8, lr=0.02))
    data = dataset()
    assert accuracy(model, data.x_test, data.y_test) > 0.9
    return model


def renamed(data, new):
    """The data under the names of another folder, sorted and numbered as that one's."""
    classes = tuple(sorted(new))
    number = np.array([classes.index(name) for name in new])
    return replace(data, classes=classes, y_train=number[data.y_train], y_test=number[data.y_test])


names = st.lists(
    st.sampled_from(["ant", "bee", "cow", "Ant", "10", "9", "z", "\u00e9", "e\u0301"]),
    min_size=3, max_size=3, unique=True,
)  # fmt: skip


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.permutations(NAMES), names, st.booleans())
def test_any_order_of_the_names_gives_the_same_accuracy_and_other_names_are_refused(
    trained, order, other, same
):
    data = dataset()
    want = accuracy(trained, data.x_test, data.y_test, class_names=data.classes)
    if same:  # the same pictures with the same names, numbered in another order
        number = np.array([order.index(name) for name in NAMES])
        there = replace(data, classes=tuple(order), y_test=number[data.y_test])
    else:
        there = renamed(data, other)
    if set(there.classes) == set(NAMES):
        assert there.counted_as(trained.class_names).classes == NAMES
        if same:
            assert there.counted_as(trained.class_names).y_test.tolist() == data.y_test.tolist()
            assert accuracy(trained, there.x_test, there.y_test, "integer", there.classes) == want
    else:
        for refused in (
            lambda: accuracy(trained, there.x_test, there.y_test, class_names=there.classes),
            lambda: there.counted_as(trained.class_names),
        ):
            with pytest.raises(DataError, match="classes must have the names that the network"):
                refused()


def test_names_travel_through_training_checkpoint_and_file(trained, tmp_path):
    assert trained.class_names == NAMES
    save_checkpoint(tmp_path / "model.pt", trained, {})
    assert load_model(tmp_path / "model.pt").class_names == NAMES
    write(to_spec(trained), tmp_path / "a.net")
    assert read(tmp_path / "a.net").class_names == NAMES
    odd = ("\x1b[31mred", "[bold]b", "\u00e9\ud800")  # what a folder may be called
    write(replace(read(tmp_path / "a.net"), class_names=odd), tmp_path / "a.net")
    assert read(tmp_path / "a.net").class_names == odd


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a", "b"), "name each of the 3 outputs once, got 2 names"),
        (("a", "b", "b"), "got 3 names, 2 of them different"),
        ("abc", "must be a list of names, got str"),
        ((1, 2, 3), "must be a list of names, got tuple with more than text"),
    ],
)
def test_names_that_name_no_outputs_are_refused(names, says):
    spec = to_spec(small_model(steps=1))
    with pytest.raises(FormatError, match=f"class_names: .*{says}"):
        NetworkSpec(spec.layers, 1, {}, names)


@pytest.mark.parametrize("none", [None, (), []])
def test_a_model_that_names_nothing_has_no_names(none):
    model = small_model(steps=1)
    model.class_names = none
    assert to_spec(model).class_names == names_of(model) == ()
    model.class_names = np.array(NAMES)  # of another type, not of other words
    assert names_of(model) == NAMES


@pytest.mark.parametrize("text", [b"[1, 2, 3]", b"{", b'["a"]', b'"abc"', b"null"])
def test_names_in_a_file_that_are_none_are_named(tmp_path, text):
    import h5py

    write(to_spec(small_model(steps=1)), tmp_path / "a.net")
    assert read(tmp_path / "a.net").class_names == ()
    with h5py.File(tmp_path / "a.net", "a") as file:
        file.attrs["class_names"] = np.bytes_(text)
    with pytest.raises(FormatError, match=r"a\.net, class_names"):
        read(tmp_path / "a.net")


def test_a_command_numbers_labels_as_the_file_and_says_what_it_cannot_compare(
    trained, monkeypatch, capsys
):
    spec = to_spec(trained)
    data = renamed(dataset(), ("cow", "ant", "bee"))  # other pictures of the same names
    monkeypatch.setattr("lava_mlsnn.cli.data.load_dataset", lambda *_, **__: data)
    x, y = samples_for(Console(), spec, "stripes", 0)
    found = {image.tobytes(): label for image, label in zip(data.x_test, data.y_test, strict=True)}
    for image, label in zip(x, y, strict=True):
        assert NAMES[label] == data.classes[found[image.tobytes()]]
    other = renamed(dataset(), ("cow", "ant", "bat"))
    monkeypatch.setattr("lava_mlsnn.cli.data.load_dataset", lambda *_, **__: other)
    with pytest.raises(DataError, match=r"not known to it: 'bat'; missing: 'bee'"):
        samples_for(Console(), spec, "stripes", 0)
    capsys.readouterr()
    samples_for(Console(), replace(spec, class_names=()), "stripes", 5)
    said = capsys.readouterr().out
    assert said.count("has no class names") == 1
    assert "5 of 40 samples, drawn over all classes by seed 0" in said


def test_a_teacher_with_another_order_teaches_the_same_and_one_of_other_names_nothing(trained):
    config = ModelConfig(width=2, input_shape=SHAPE, classes=3, input_levels=15)
    recipe = TrainConfig(epochs=1, batch_size=8, distil=1.0, label_smoothing=0.0)
    data = dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = train(config, data, recipe, teacher=trained)

    class Turned(torch.nn.Module):
        """The teacher with its outputs in another order."""

        class_names = ("cow", "ant", "bee")

        def forward(self, x):
            return trained(x)[:, [2, 0, 1]]

    second = train(config, data, recipe, teacher=Turned())
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    with pytest.raises(DataError, match=r"the teacher .*not known to it: 'eel'; missing: 'ant'"):
        train(config, renamed(data, ("eel", "bee", "cow")), recipe, teacher=trained)
    unnamed = Turned()
    unnamed.class_names = ()
    with pytest.warns(UserWarning, match="the teacher has no class names") as said:
        train(config, data, recipe, teacher=unnamed)
    assert len(said) == 1 and said[0].filename == __file__


def test_resuming_compares_names(tmp_path):
    config = ModelConfig(width=2, input_shape=SHAPE, classes=3, input_levels=15)
    recipe, path, data = TrainConfig(epochs=1, batch_size=8), tmp_path / "model.pt", dataset()
    train(config, data, recipe, checkpoint=path)
    for other in (("cow", "bee", "ant"), ("ant", "bee", "eel")):
        there = replace(data, classes=other)
        with pytest.raises(ConfigError, match=r"model\.pt was trained on the classes \('ant', "):
            train(config, there, recipe, checkpoint=path, resume=True)
    content = load_checkpoint(path)
    del content["class_names"]
    torch.save(content, path)  # as before names were kept
    assert load_model(path).class_names == ()
    with pytest.warns(UserWarning, match=r"model\.pt has no class names"):
        train(config, data, recipe, checkpoint=path, resume=True)
    with pytest.warns(UserWarning, match="the network has no class names"):
        accuracy(load_model(path), data.x_test, data.y_test, class_names=data.classes)


def test_names_are_compared_in_one_form_of_unicode():
    assert match_classes(["caf\u00e9", "b"], ["b", "cafe\u0301"]).tolist() == [1, 0]
    assert match_classes((), ["b"]) is None and match_classes(["b"], ()) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"y_train": ["a", "b", "c", "a"]}, "labels must be whole numbers"),
        ({"y_train": [0.5, 1, 2, 0]}, "labels must be whole numbers"),
        ({"y_train": [np.nan, 1, 2, 0]}, "labels must be whole numbers"),
        ({"y_train": [[0], [1, 2]]}, "labels must be"),
        ({"y_train": np.array([None] * 4)}, "labels must be whole numbers"),
        ({"x_train": [[1.0], [1.0, 2.0]]}, "samples must be"),
        ({"x_train": np.array(["a"] * 4)}, "samples must be numbers"),
        ({"x_train": np.zeros((4, *SHAPE), complex)}, "samples must be numbers"),
        ({"classes": ("a", "b", "a")}, "names of their own"),
    ],
)
def test_data_of_types_that_cannot_be_is_named(change, says):
    values = {"x_train": np.zeros((4, *SHAPE)), "y_train": [0, 1, 2, 0], "classes": NAMES}
    values = {"name": "odd", "x_test": np.zeros((1, *SHAPE)), "y_test": [0], **values, **change}
    with pytest.raises(DataError, match=f"odd: .*{says}"):
        Dataset(**values, input_levels=15)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint64", "float32", "list", "tensor"])
def test_labels_and_samples_of_other_types_and_strides_are_the_same(trained, kind):
    data = dataset()
    want = accuracy(trained, data.x_test, data.y_test)
    if kind == "list":
        x, y = data.x_test.tolist(), data.y_test.tolist()
    elif kind == "tensor":
        x, y = torch.from_numpy(data.x_test).double(), torch.from_numpy(data.y_test)
    else:
        x, y = data.x_test[::-1].astype(np.float64), data.y_test.astype(kind)[::-1]
        x.flags.writeable = False
    assert accuracy(trained, x, y) == want
    config = trained.config
    recipe = TrainConfig(epochs=1, batch_size=8)
    turned = Dataset("t", x, y, x, y, NAMES, 15)
    plain = Dataset("t", np.array(x, np.float32), np.array(y, np.int64), x, y, NAMES, 15)
    first, second = train(config, turned, recipe), train(config, plain, recipe)
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_accuracy_leaves_the_model_in_training_and_takes_no_empty_or_infinite_samples(trained):
    data = dataset()
    model = copy.deepcopy(trained).train()
    model.blocks[1].eval()
    before = [m.training for m in model.modules()]
    assert accuracy(model, data.x_test, data.y_test) == accuracy(trained, data.x_test, data.y_test)
    assert [m.training for m in model.modules()] == before
    for x, y, says in (
        (data.x_test[:0], [], "at least one sample"),
        (data.x_test * np.nan, data.y_test, "finite"),
        (data.x_test + np.inf, data.y_test, "finite"),
    ):
        with pytest.raises(DataError, match=says):
            accuracy(model, x, y)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2, 3] * 10, [-1] * 40, [[0]] * 40, ["a"] * 40])
def test_accuracy_of_labels_that_do_not_go_with_the_samples_is_refused(trained, labels):
    with pytest.raises(DataError, match="labels"):
        accuracy(trained, dataset().x_test, labels)
