"""Log, best network and curve of a training: they change nothing, and survive any stop."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import images, small_model

from lava_mlsnn.data import Dataset
from lava_mlsnn.errors import ConfigError, DataError, FormatError
from lava_mlsnn.export import to_spec
from lava_mlsnn.models import ModelConfig, build_model
from lava_mlsnn.neuron import MultiLevelNeuron
from lava_mlsnn.population import precision
from lava_mlsnn.runner import IntegerRunner, encode
from lava_mlsnn.training import TrainConfig, accuracy, load_model, train
from lava_mlsnn.training.checkpoint import load_checkpoint, load_weights
from lava_mlsnn.training.config import EpochReport
from lava_mlsnn.training.curve import draw_curve
from lava_mlsnn.training.log import LogWarning, best_of, read_log
from lava_mlsnn.training.measure import COUNTED, Meter
from lava_mlsnn.training.threads import cores, fastest, step_times

SHAPE = (1, 6, 5)
MODEL = ModelConfig(width=2, input_shape=SHAPE, classes=2, input_levels=15)
RECIPE = TrainConfig(epochs=4, batch_size=8, lr=0.02)


def halves(n=40):
    x = images(SHAPE, n, 0)
    y = (x[..., :2].mean((1, 2, 3)) > x[..., 3:].mean((1, 2, 3))).astype(np.int64)
    return Dataset("halves", x, y, x[:4], y[:4], ("right", "left"), 15)


def split():
    return halves().validation(0.25)


def run(folder, recipe=RECIPE, data=None, **options):
    folder.mkdir(exist_ok=True)
    options = {"validate": True, "log": True, **options}
    return train(MODEL, data or split(), recipe, checkpoint=folder / "model.pt", **options)


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) for k in a)


def timeless(folder):
    return [{**r, "seconds": None} for r in read_log(folder / "log.jsonl")]


@pytest.mark.parametrize("changes", [{"mixup": 0.2}, {"ema": 0.9, "ann_epochs": 1}])
def test_watching_changes_no_bit_of_a_training(tmp_path, changes):
    recipe = replace(RECIPE, epochs=2, **changes)
    assert same(train(MODEL, split(), recipe), run(tmp_path / "a", recipe))


def test_a_line_holds_what_is_measured_of_the_network_of_its_epoch(tmp_path):
    data, told = split(), []
    run(tmp_path, replace(RECIPE, epochs=2, ann_epochs=1), data, report=told.append)
    first, last = read_log(tmp_path / "log.jsonl")
    assert first["validation_accuracy"] is None and first["layers"] == {}  # ReLUs, no spikes yet
    assert first["accuracy"] is last["relu_accuracy"] is last["relu_validation_accuracy"] is None
    assert (first["relu_accuracy"], first["relu_validation_accuracy"]) == (
        told[0].accuracy, told[0].validation)  # fmt: skip
    assert [epoch.relu for epoch in told] == [True, False]
    assert (last["epoch"], last["loss"], last["accuracy"]) == (2, told[1].loss, told[1].accuracy)
    model = load_model(tmp_path / "model.pt")
    assert last["validation_accuracy"] == accuracy(model, data.x_test, data.y_test)
    assert last["events"] == sum(x["events"] for x in last["layers"].values()) > 0
    assert last["lr"] == pytest.approx(0, abs=1e-9) and last["seconds"] > 0
    assert {p.name for p in tmp_path.iterdir()} - {"tensorboard"} == {
        "model.pt", "best.pt", "log.jsonl", "curve.png"}  # fmt: skip


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 9), st.integers(1, 3), st.sampled_from(["integrating", "respiking"]))
def test_layers_are_counted_as_the_integer_runner_sends(seed, timesteps, barrier):
    model = small_model(seed, timesteps=timesteps, barrier=barrier, levels=2)
    x = images(SHAPE, 7, seed)
    right, layers = Meter(model, x, np.zeros(7, np.int64)).layers()
    spec = to_spec(model)
    traced = IntegerRunner(spec).trace(encode(spec, x))
    assert right == int((traced.classes == 0).sum())
    spiking = [p.name for _, p in spec.populations if p.neuron.fires]
    assert list(layers) == spiking
    for name in spiking:
        z = traced.layers[name]
        channels = z.transpose(1, 0, *range(2, z.ndim)).reshape(z.shape[1], -1)
        assert layers[name].events == np.count_nonzero(z) / 7
        assert layers[name].saturated == pytest.approx((z == 2).mean())
        assert layers[name].dead == int((channels == 0).all(1).sum())
        assert layers[name].channels == z.shape[1]


def test_the_accuracy_is_over_all_samples_not_over_the_counted_ones():
    model, n = small_model(), COUNTED + 9
    x, y = images(SHAPE, n, 3), np.arange(n) % 3
    assert Meter(model, x, y).all()[0] == pytest.approx(accuracy(model, x, y))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted training, with copies of its folder after every epoch."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(
        folder,
        report=lambda e: shutil.copytree(folder, folder.with_name(f"after{e.epoch}")),
    )
    return folder


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    stop=st.integers(1, 3),
    where=st.sampled_from(["in a line", "behind a line", "behind the checkpoint", "between"]),
    cut=st.integers(1, 60),
)
def test_a_log_goes_on_without_doubled_or_lost_lines(whole, tmp_path_factory, stop, where, cut):
    folder = tmp_path_factory.mktemp("stopped") / "run"
    shutil.copytree(whole.with_name(f"after{stop}"), folder)
    later = whole.with_name(f"after{stop + 1}") if stop < 3 else whole
    line = (later / "log.jsonl").read_bytes().splitlines(True)[stop]
    with open(folder / "log.jsonl", "ab") as log:  # written before the checkpoint
        log.write({"in a line": line[:cut], "between": b""}.get(where, line))
    if where == "behind the checkpoint":  # and best.pt is still the one of before
        shutil.copy(later / "model.pt", folder / "model.pt")
    model = run(folder, resume=True)
    assert same(model, load_model(whole / "model.pt"))
    assert timeless(folder) == timeless(whole)
    assert (
        load_checkpoint(folder / "best.pt")["epoch"]
        == best_of(read_log(whole / "log.jsonl"))["epoch"]
    )
    assert same(load_model(folder / "best.pt"), load_model(whole / "best.pt"))


def test_best_is_the_checkpoint_of_the_best_epoch(whole):
    best = best_of(read_log(whole / "log.jsonl"))
    kept = whole if best["epoch"] == 4 else whole.with_name(f"after{best['epoch']}")
    assert (whole / "best.pt").read_bytes() == (kept / "model.pt").read_bytes()


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=8))
def test_of_equal_epochs_the_last_is_the_best(values):
    records = [{"epoch": i, "validation_accuracy": v} for i, v in enumerate(values, 1)]
    best, known = best_of(records), [v for v in values if v is not None]
    if not known:
        assert best is None
    else:
        assert best["validation_accuracy"] == max(known)
        assert best["epoch"] == len(values) - values[::-1].index(max(known))


def test_a_training_anew_leaves_nothing_of_the_old_one(tmp_path):
    run(tmp_path, replace(RECIPE, epochs=3))
    run(tmp_path, replace(RECIPE, epochs=2), halves(), validate=False)
    records = read_log(tmp_path / "log.jsonl")
    assert [r["epoch"] for r in records] == [1, 2] and records[0]["layers"]
    assert records[1]["validation_accuracy"] is None and not (tmp_path / "best.pt").exists()


def test_a_log_that_was_taken_away_is_said(whole, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole.with_name("after2"), folder)
    (folder / "log.jsonl").unlink()
    with pytest.warns(LogWarning, match=r"lacks the epochs 1 to 2 of model.pt"):
        run(folder, resume=True)
    assert timeless(folder) == timeless(whole)[2:]


@pytest.mark.parametrize(
    "text", ["notes\nof mine\n", '{"epoch": 1}\n{"epoch": 1}\n{"epoch": 2}\n', "3\n4\n"]
)
def test_a_file_that_is_no_log_is_refused_and_stays(whole, tmp_path, text):
    folder = tmp_path / "run"
    shutil.copytree(whole.with_name("after2"), folder)
    (folder / "log.jsonl").write_text(text)
    with pytest.raises(FormatError, match=r"log.jsonl: line [12] is no later epoch"):
        run(folder, resume=True)
    assert (folder / "log.jsonl").read_text() == text


def test_a_log_needs_a_checkpoint_to_lie_beside():
    with pytest.raises(ConfigError, match="beside the checkpoint"):
        train(MODEL, split(), RECIPE, log=True)


def test_a_curve_is_drawn_of_any_log():
    layer = {"events": 2.0, "saturated": 0.1, "dead": 1, "channels": 4}
    full = {"loss": 1.0, "accuracy": 0.5, "validation_accuracy": 0.4, "events": 2.0, "lr": 0.1,
            "layers": {"a $ layer $": layer}}  # fmt: skip
    bare = {**full, "validation_accuracy": None, "layers": {}}
    for records in ([], [bare], [full], [bare, full, full]):
        numbered = [{**r, "epoch": i} for i, r in enumerate(records, 1)]
        assert draw_curve(numbered).startswith(b"\x89PNG")


def test_tensorboard_gets_every_epoch_once(whole, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "run"
    shutil.copytree(whole.with_name("after2"), folder)
    run(folder, resume=True)
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("loss")] == [1, 2, 3, 4]
    assert [e.step for e in events.Scalars("dead/stem")] == [1, 2, 3, 4]
    found = [e.value for e in events.Scalars("validation_accuracy")]
    assert found == pytest.approx([r["validation_accuracy"] for r in timeless(whole)])


# -- a training that starts from another -----------------------------------------------------


def test_a_training_starts_from_the_weights_of_another(tmp_path):
    old = train(MODEL, halves(), RECIPE)
    still = replace(RECIPE, lr=1e-30, weight_decay=0.0, epochs=1, recalibrate=False)
    new = train(MODEL, halves(), still, start=old)
    for (name, a), b in zip(new.named_parameters(), old.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert not same(new, train(MODEL, halves(), still))
    fewer = replace(MODEL, levels=2)  # another network of the same shapes
    assert train(fewer, halves(), still, start=old).config == fewer


def test_a_start_is_numbered_as_it_is_and_resumed_as_it_began(tmp_path):
    old, data, path = train(MODEL, halves(), RECIPE), halves(), tmp_path / "model.pt"
    turned = replace(
        data, classes=("left", "right"), y_train=1 - data.y_train, y_test=1 - data.y_test
    )
    new = train(MODEL, turned, RECIPE, start=old, checkpoint=path)
    assert new.class_names == ("right", "left")
    assert same(new, train(MODEL, data, RECIPE, start=old))
    with pytest.raises(ConfigError, match="the same network to start from"):
        train(MODEL, data, RECIPE, checkpoint=path, resume=True)
    assert same(new, train(MODEL, data, RECIPE, start=old, checkpoint=path, resume=True))


def test_a_start_that_does_not_fit_is_refused():
    old = train(MODEL, halves(), replace(RECIPE, epochs=1))
    with pytest.raises(ConfigError, match="shapes of the one to train"):
        train(replace(MODEL, width=3), halves(), RECIPE, start=old)
    with pytest.raises(ConfigError, match="ann_epochs"):
        train(MODEL, halves(), replace(RECIPE, ann_epochs=1), start=old)
    with pytest.raises(DataError, match="network to start from was trained with"):
        train(MODEL, replace(halves(), classes=("up", "down")), RECIPE, start=old)


# -- threads ---------------------------------------------------------------------------------


@given(
    st.dictionaries(st.sampled_from([1, 2, 4, 8]), st.floats(1e-3, 9), min_size=1).map(
        lambda times: dict(sorted(times.items()))
    )
)
def test_more_threads_are_taken_where_they_are_faster_by_a_tenth(times):
    found = fastest(times)
    assert all(times[found] * 1.1 < times[n] for n in times if n < found)
    assert all(times[n] * 1.1 >= times[found] for n in times if n > found)


def test_step_times_are_those_of_real_steps(monkeypatch):
    from lava_mlsnn.training import threads

    class Run:
        def __init__(self, *costs):
            self.costs, self.made, self.now = costs, [], 0.0

        def steps(self, count):
            number = torch.get_num_threads()
            self.made.append(number)
            self.now += self.costs[number - 1]

    for costs, numbers in (((4, 3, 2, 1), [1, 2, 4]), ((4, 9, 1, 1), [1, 2]), ((4, 3), [1, 2])):
        run = Run(*(cost / 10 for cost in costs))
        monkeypatch.setattr(threads.time, "perf_counter", lambda run=run: run.now)
        assert list(step_times(run, len(costs))) == numbers
        assert run.made.count(1) == 4 and torch.get_num_threads() == 1
    run = Run(1, 100)
    monkeypatch.setattr(threads.time, "perf_counter", lambda: run.now)
    assert step_times(run, 2) == {1: 1, 2: 100} and run.made.count(2) == 1  # hopeless
    assert cores() >= 1


def test_a_log_line_is_json_alone(whole):
    for line in (whole / "log.jsonl").read_text().splitlines():
        assert list(json.loads(line)) == [
            "epoch", "loss", "accuracy", "validation_accuracy", "relu_accuracy",
            "relu_validation_accuracy", "events", "lr", "seconds", "layers"]  # fmt: skip


@pytest.mark.parametrize("frames", [False, True])
def test_while_relus_train_their_accuracy_is_told(tmp_path, frames):
    """As a ReLU network computes it that is written out here, from the same checkpoint."""
    data, told = split(), []
    if frames:
        x = [np.stack([x / 2, x], -1) for x in (data.x_train, data.x_test)]
        data = replace(data, x_train=x[0], x_test=x[1])
    model = replace(MODEL, timesteps=2, barrier_threshold=0.5)
    recipe = replace(RECIPE, epochs=3, ann_epochs=2)
    kept = []

    def report(epoch):
        told.append(epoch)
        kept.append(load_checkpoint(tmp_path / "model.pt")["model"])

    options = {"checkpoint": tmp_path / "model.pt", "validate": True, "report": report}
    train(model, data, recipe, **options)
    assert [epoch.relu for epoch in told] == [True, True, False]
    network = build_model(model).eval()
    load_weights(network, kept[0])
    for neuron in (m for m in network.modules() if isinstance(m, MultiLevelNeuron)):
        neuron.forward = lambda x, t=neuron.threshold: torch.relu(x / t)
    x = torch.from_numpy(data.x_test)
    with torch.no_grad(), precision(network, "float"):
        scores = network(x.mean(-1, keepdim=True) if frames else x[..., None])
    right = float((scores.argmax(1).numpy() == data.y_test).mean())
    assert told[0].validation == right


def test_the_best_is_never_one_of_relus():
    first = EpochReport(1, 2, 1.0, 0.9, validation=1.0, relu=True).to_dict()
    last = EpochReport(2, 2, 1.0, 0.5, validation=0.5).to_dict()
    assert best_of([first]) is None and best_of([first, last]) is last
    assert draw_curve([first, last]).startswith(b"\x89PNG")
