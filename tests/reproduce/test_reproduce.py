"""Trials run once and go on where they stopped; the report says what the records say."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lava_mlsnn.cli import reproduce as cli
from lava_mlsnn.cli.console import Console
from lava_mlsnn.data import load_dataset
from lava_mlsnn.errors import ConfigError, FormatError, MLSNNError
from lava_mlsnn.reproduce import EXPERIMENTS, Experiment, Trial, run_trial, write_report
from lava_mlsnn.reproduce.figures import PLOTS
from lava_mlsnn.reproduce.judge import fewer, mean, not_below, spread, text, within
from lava_mlsnn.reproduce.records import NUMBERS, finished
from lava_mlsnn.reproduce.trial import Group
from lava_mlsnn.runner import IntegerRunner, encode
from lava_mlsnn.training.config import TrainConfig
from netx_export import read

torch.set_num_threads(1)
RECIPE = TrainConfig(epochs=2, batch_size=128)
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def tiny(seeds=1, **model):
    return Group("a", "a < b", Trial("digits", {"width": 2, **model}, RECIPE), seeds)


def experiment(*groups):
    def judge(results):
        return [not_below(results, groups[0].name, groups[-1].name, "first is not below last")]

    plots = ("accuracy", "energy", "events", "density")
    keep = tuple(g.name for g in groups)
    return Experiment("tiny", "Tiny <networks>", "Which?", groups, judge, plots, "a note", keep)


@pytest.fixture(scope="module")
def work(tmp_path_factory, digits):
    """Two groups, the first with two seeds."""
    folder = tmp_path_factory.mktemp("work")
    groups = (tiny(2), replace(tiny(barrier="sew"), name="b", label="SEW"))
    for group in groups:
        for trial in group.trials():
            run_trial(trial, digits, folder)
    return folder, experiment(*groups)


def test_the_reported_accuracy_is_that_of_the_exported_file(work, digits):
    folder, found = work
    for group in found.groups:
        for trial in group.trials():
            record = finished(trial, folder)
            spec = read(folder / trial.key / "network.net")
            trace = IntegerRunner(spec).run(encode(spec, digits.x_test))
            assert record["accuracy"]["integer"] == (trace.classes == digits.y_test).mean()
            assert record["samples"] == 450 and 0 < record["accuracy"]["float"] <= 1
            assert spec.provenance["train_config"]["seed"] == trial.recipe.seed
            assert {"snn-mac", "snn-adds", "snn-burst", "ann", "zero-skip"} <= set(
                record["energy_nj"]
            )


def test_a_finished_trial_is_not_trained_again(work, digits, monkeypatch):
    folder, found = work
    trial = found.groups[0].trials()[1]

    def never(*args, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr("lava_mlsnn.training.loop.train", never)
    assert run_trial(trial, digits, folder) == finished(trial, folder)


def test_a_stopped_trial_goes_on_and_ends_as_if_it_had_not_stopped(work, digits, tmp_path):
    folder, found = work
    trial = found.groups[0].trials()[0]

    class StopError(Exception):
        pass

    def stop(done, total):
        raise StopError

    with pytest.raises(StopError):
        run_trial(trial, digits, tmp_path, stop)
    assert finished(trial, tmp_path) is None and (tmp_path / trial.key / "model.pt").exists()
    epochs = []
    record = run_trial(trial, digits, tmp_path, lambda done, total: epochs.append(done))
    assert epochs == [2]  # the first was kept
    whole = finished(trial, folder)
    for part in ("accuracy", "activity", "energy_nj"):
        assert record[part] == whole[part]


def test_seeds_and_settings_make_the_key():
    trial = tiny().trial
    keys = {trial.key, *(t.key for t in tiny(3).trials()[1:])}
    keys |= {tiny(levels=2).trial.key, replace(trial, data="other").key}
    assert len(keys) == 5
    assert trial.key == Trial("digits", {"width": 2}, TrainConfig(epochs=2, batch_size=128)).key


def copied(work, tmp_path):
    """A finished trial in a folder of its own, to be damaged."""
    trial = work[1].groups[0].trials()[0]
    shutil.copytree(work[0] / trial.key, tmp_path / trial.key)
    return trial, tmp_path / trial.key


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", "[" * 100_000, None])
def test_a_record_that_is_none_is_named(work, tmp_path, content):
    trial, folder = copied(work, tmp_path)
    (folder / "record.json").unlink()
    if content is None:
        (folder / "record.json").mkdir()
    else:
        (folder / "record.json").write_text(content)
    with pytest.raises(FormatError, match="delete the file and run again"):
        finished(trial, tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((name, "x") for name in NUMBERS),
        ("accuracy.integer", 7.0),
        ("accuracy.integer", float("nan")),
        ("key", "other"),
        ("seed", 99),
        ("activity", {}),
        ("energy_nj", None),
        ("energy_nj.ann", -1),
        ("activity.blocks", [1]),
        ("network", {}),
        ("data_sha256", None),
    ],
)
def test_a_changed_record_is_refused(work, tmp_path, path, value):
    trial, folder = copied(work, tmp_path)
    record = json.loads((folder / "record.json").read_text())
    inner = record
    *parents, last = path.split(".")
    for name in parents:
        inner = inner[name]
    inner[last] = value
    (folder / "record.json").write_text(json.dumps(record))
    with pytest.raises(FormatError, match="delete the file and run again"):
        finished(trial, tmp_path)


@pytest.mark.parametrize("damage", ["other", "missing"])
def test_a_network_that_was_not_measured_is_not_kept(work, tmp_path, damage):
    trial, folder = copied(work, tmp_path)
    if damage == "missing":
        (folder / "network.net").unlink()
    else:
        (folder / "network.net").write_bytes(b"other")
    with pytest.raises(FormatError, match="delete the folder and run again"):
        write_report([experiment(tiny())], tmp_path, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.part"))
    assert finished(trial, tmp_path) is not None


def test_the_report_is_whole_self_contained_and_escaped(work, tmp_path):
    folder, found = work
    path = write_report([found], folder, tmp_path / "out")
    html = path.read_text()
    assert "Tiny &lt;networks&gt;" in html and "a &lt; b" in html and "Tiny <networks>" not in html
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    assert html.count("data:image/png;base64,") == len(PLOTS)
    content = json.loads((tmp_path / "out" / "tiny.json").read_text())
    assert content["complete"] and len(content["claims"]) == 1
    assert [len(g["trials"]) for g in content["groups"]] == [2, 1]
    records = content["groups"][0]["trials"]
    shown = f"{100 * np.mean([r['accuracy']['integer'] for r in records]):.2f}"
    assert shown in (tmp_path / "out" / "tiny.md").read_text() and shown in html
    card = (tmp_path / "out" / "networks" / "README.md").read_text()
    kept = sorted(p.name for p in (tmp_path / "out" / "networks").glob("*.net"))
    assert kept == ["tiny-a.net", "tiny-b.net"] and all(f"| {n[:-4]} |" in card for n in kept)
    assert read(tmp_path / "out" / "networks" / "tiny-b.net").timesteps == 1


def test_an_unfinished_experiment_has_no_verdict(work, tmp_path):
    folder, found = work
    more = replace(found.groups[1], seeds=3)
    path = write_report([experiment(found.groups[0], more)], folder, tmp_path)
    assert "Not complete" in path.read_text()
    assert json.loads((tmp_path / "tiny.json").read_text())["claims"] == []
    empty = experiment(replace(more, trial=replace(more.trial, data="none")))
    with pytest.raises(ConfigError, match="no experiment has a finished trial"):
        write_report([empty], folder, tmp_path / "other")


def records(*accuracies, events=100.0):
    return [
        {"accuracy": {"integer": a}, "activity": {"all": {"events": events}}} for a in accuracies
    ]


def test_judgements_by_hand():
    r = {"a": records(0.98, 0.96, events=80), "b": records(0.97), "c": records(0.9801, 0.9799)}
    assert mean(r["a"], "accuracy.integer") == pytest.approx(0.97)
    assert spread(r["a"], "accuracy.integer") == pytest.approx(0.01 * 2**0.5)
    assert spread(r["b"], "accuracy.integer") == 0
    assert text(r["a"]) == "97.00 +- 1.41 % (2 seeds)" and text(r["b"]) == "97.00 % (1 seed)"
    assert not_below(r, "b", "b", "").met and not not_below(r, "a", "c", "").met
    assert within(r, "a", "c", 1.1, "").met and not within(r, "a", "c", 0.9, "").met
    assert fewer(r, "a", "b", "activity.all.events", 0.8, "").met
    assert not fewer(r, "a", "b", "activity.all.events", 0.79, "").met
    assert "0.800 times" in fewer(r, "a", "b", "activity.all.events", 0.8, "").measured


@given(st.integers(1, 449), st.integers(1, 449), st.integers(1, 60))
def test_a_difference_of_just_the_points_is_within_them(first, second, lost):
    right = [max(lost, n) for n in (first, second)]
    ours = records(*((n - lost) / 450 for n in right))
    r = {"ours": ours, "theirs": records(*(n / 450 for n in right))}
    assert within(r, "ours", "theirs", 100 * lost / 450, "").met
    assert not within(r, "ours", "theirs", 100 * (lost - 0.5) / 450, "").met


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_every_experiment_is_well_formed(name):
    from lava_mlsnn.models import ModelConfig

    found = EXPERIMENTS[name]
    names = [g.name for g in found.groups]
    assert len(set(names)) == len(names) and set(found.plots) <= set(PLOTS)
    assert set(found.keep) <= set(names)
    for group in found.groups:
        shape = {"digits": (1, 8, 8), "cifar10": (3, 32, 32)}.get(group.trial.data, (2, 16, 16))
        ModelConfig.from_dict({"input_shape": shape, **group.trial.model})
    fake = {
        "accuracy": {"integer": 0.9, "float": 0.9},
        "activity": {
            "blocks": [{"stage": s, "density": 0.1 * s + 0.1 * b} for s in (1, 2) for b in (0, 1)],
            **{
                k: {"events": 1.0, "payload": 1.0}
                for k in ("into_synapses", "block_outputs", "all", "operations")
            },
        },
        "energy_nj": dict.fromkeys(
            ("snn-mac", "snn-small", "snn-adds", "snn-burst", "ann", "zero-skip"), 1.0
        ),
    }
    claims = found.judge({n: [fake] for n in names})
    assert claims and all(c.text and c.measured for c in claims)


# -- the command ----------------------------------------------------------------------
def run(tmp_path, names=(), cifar10="", part="1/1", report_only=False):
    cli.run_reproduce(
        Console(), list(names), tmp_path / "work", tmp_path / "out", cifar10, part, report_only
    )


def test_the_command_trains_what_is_missing_in_two_parts(tmp_path, monkeypatch, capsys):
    found = experiment(tiny(2), replace(tiny(levels=1), name="b", label="b"))
    monkeypatch.setitem(EXPERIMENTS, "tiny", found)
    run(tmp_path, ["tiny"], part="1/2")
    assert "2 trainings, 0 of them finished" in capsys.readouterr().out
    run(tmp_path, ["tiny"], part="2/2")
    run(tmp_path, ["tiny"])
    assert "3 trainings, 3 of them finished before" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "tiny.json").read_text())["complete"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"names": ["levles"]}, "an experiment is one of start, avalanche"),
        ({"names": ["cifar10-blocks"]}, "needs CIFAR-10; name a folder"),
        ({"names": ["levels"], "part": "3/2"}, "part must be K/N"),
        ({"names": ["levels"], "part": "x"}, "part must be K/N"),
        ({"names": ["levels"], "part": "\u00b2/3"}, "part must be K/N"),
        ({"names": ["cifar10-blocks"], "cifar10": "nowhere"}, "nowhere"),
        ({"report_only": True}, "no experiment has a finished trial"),
    ],
)
def test_wrong_options(tmp_path, options, words):
    with pytest.raises(MLSNNError, match=words):
        run(tmp_path, **options)
    assert not (tmp_path / "out" / "networks").exists()


def test_a_work_folder_that_is_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "work").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        run(tmp_path, ["levels"])


def test_other_files_of_the_same_name_are_not_mixed(tmp_path, monkeypatch, digits):
    found = experiment(tiny(2))
    monkeypatch.setitem(EXPERIMENTS, "tiny", found)
    trial = found.groups[0].trials()[0]
    other = replace(digits, y_test=digits.y_test[::-1].copy())
    run_trial(trial, other, tmp_path / "work")
    with pytest.raises(ConfigError, match="finished trials used other files of digits"):
        run(tmp_path, ["tiny"])
