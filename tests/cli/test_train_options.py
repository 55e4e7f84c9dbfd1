"""``mlsnn train`` with recipes, a teacher, and frames of events."""

from __future__ import annotations

import json

import pytest

SMALL = ("--width", 2, "--epochs", 1, "--batch-size", 128, "--json")


def trained_with(folder):
    from lava_mlsnn.training.checkpoint import load_checkpoint

    return load_checkpoint(folder / "model.pt")


def test_a_recipe_is_what_options_change(mlsnn, tmp_path):
    options = ("--recipe", "digits", "--ema", 0.9, "--mixup", 0.2, "--event-penalty", 0.5)
    answer = mlsnn(
        *("train", "--out", "a", *SMALL, *options),
        *("--optimiser", "sgd", "--schedule", "cosine", "--warmup", 0.5),
        *("--label-smoothing", 0.1, "--weight-decay", 0.01),
    )
    assert answer.code == 0, answer.err
    config = trained_with(tmp_path / "a")["train_config"]
    assert config["shift"] == 1 and config["seed"] == 0  # the recipe's own
    for name, value in (
        ("epochs", 1),
        ("ema", 0.9),
        ("mixup", 0.2),
        ("event_penalty", 0.5),
        ("optimiser", "sgd"),
        ("schedule", "cosine"),
        ("warmup", 0.5),
        ("label_smoothing", 0.1),
        ("weight_decay", 0.01),
    ):
        assert config[name] == value, name
    assert mlsnn("export", "a/model.pt").code == 0
    assert mlsnn("check", "network.net", "--model", "a/model.pt", "--lava-samples", 0).code == 0


def test_a_teacher_is_a_checkpoint(mlsnn, trained, tmp_path):
    teacher = trained[0] / "model.pt"
    assert mlsnn("train", "--out", "s", *SMALL, "--teacher", teacher).code == 0
    content = trained_with(tmp_path / "s")
    assert content["train_config"]["distil"] == 0.5 and len(content["teacher"]) == 64
    assert "no checkpoint" in mlsnn("train", "--out", "x", *SMALL, "--teacher", "gone.pt").error
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--recipe", "mnist"), "recipe must be one of"),
        (("--schedule", "linear"), "schedule must be one of"),
        (("--optimiser", "adam"), "optimiser must be one of"),
        (("--warmup", "2"), "one-cycle"),
        (("--distil", "0.5"), "--teacher"),
        (("--ema", "1"), "ema"),
        (("--lr", "1e300"), "lr must be"),
        (("--lr", "nan"), "lr must be"),
        (
            ("--shift", "100000"),
            "shift must be smaller than the images of digits (validation 0.1), 8 x 8",
        ),
        (("--shift", str(10**20)), "shift must be"),
        (("--seed", str(10**23)), "seed must be"),
        (("--temperature", "1e200"), "temperature must be"),
        (("--width", "99999999"), "width must be"),
        (("-T", "9999999"), "timesteps must be"),
        (("--threads", "999999999"), "threads must be"),
        (("--data", "cifar10", "--data-root", "nowhere"), "cifar10"),
    ],
)
def test_options_that_cannot_work_are_named(mlsnn, options, says):
    assert says in mlsnn("train", "--out", "x", *options).error


def test_events_of_digits_are_trained_exported_run_and_checked(mlsnn):
    """T frames follow the network's T; the file knows its data."""
    answer = mlsnn("train", "--out", "e", *SMALL, "--data", "digits-events", "-T", 3)
    assert answer.code == 0, answer.err
    assert mlsnn("export", "e/model.pt").code == 0
    run = mlsnn("run", "network.net", "--data", "digits-events", "--json")
    assert run.json["accuracy"] == pytest.approx(answer.json["accuracy_integer"])
    check = mlsnn(
        *("check", "network.net", "--model", "e/model.pt", "--samples", 6),
        *("--lava-samples", 0, "--json"),
    )
    assert check.code == 0 and check.json["differences"] == 0 and check.json["compared"] > 0
    assert "(2, 16, 16)" in mlsnn("run", "network.net", "--data", "digits").error


def test_a_training_folder_can_be_watched_and_trained_on(mlsnn, trained, tmp_path):
    folder, answer, _ = trained
    assert {p.name for p in folder.iterdir()} - {"tensorboard"} == {
        "model.pt", "best.pt", "log.jsonl", "curve.png", "network.net"}  # fmt: skip
    found = answer.json
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [found["best_epoch"]] == [1]
    assert found["validation_accuracy"] == lines[0]["validation_accuracy"]
    assert "136 held out to validate with, 450 to test with at the end" in answer.err
    refused = mlsnn("train", "--out", folder).error
    assert "--resume" in refused and f"--from {folder}" in refused
    longer = mlsnn("train", "--from", folder, "--out", "b", *SMALL[2:])
    assert longer.code == 0, longer.err
    content = trained_with(tmp_path / "b")
    assert content["config"]["width"] == 4 and len(content["start"]) == 64
    assert content["dataset"] == "digits (validation 0.1)"
    assert mlsnn("export", "b/best.pt").code == 0
    assert mlsnn("run", "network.net", "--samples", 9).code == 0  # on the test split of digits


def test_a_network_to_start_from_brings_its_options(mlsnn, trained, tmp_path):
    base = ("train", "--from", trained[0] / "best.pt", "--out", "b", *SMALL[2:])
    assert mlsnn(*base, "--levels", 2).code == 0
    assert trained_with(tmp_path / "b")["config"]["levels"] == 2
    base = ("train", "--from", trained[0], "--out", "c", *SMALL[2:])
    assert "shapes of the one to train" in mlsnn(*base, "--width", 5).error
    assert "does nothing without --barrier" in mlsnn(*base, "--barrier-threshold", 1).error


def test_without_validation_all_samples_train(mlsnn, tmp_path):
    answer = mlsnn("train", "--out", "a", *SMALL, "--validation", 0)
    assert answer.json["validation_accuracy"] is None and answer.json["best_checkpoint"] is None
    assert trained_with(tmp_path / "a")["dataset"] == "digits"
    assert not (tmp_path / "a" / "best.pt").exists()
    for share in (-0.1, 1, "nan"):
        assert "validation must be" in mlsnn("train", "--out", "x", "--validation", share).error


def test_a_resumed_training_keeps_its_threads_and_says_why(mlsnn, tmp_path, monkeypatch):
    from lava_mlsnn.cli import train as command

    monkeypatch.setattr(command, "cores", lambda: 2)
    monkeypatch.setattr(command, "step_times", lambda run, most: {1: 0.2, most: 0.01})
    answer = mlsnn("train", "--out", "a", *SMALL)
    assert answer.json["threads"] == 2 == trained_with(tmp_path / "a")["threads"]
    assert "2 threads: a step takes 200 ms on 1, 10 ms on 2" in answer.err
    monkeypatch.setattr(command, "step_times", None)  # is not asked
    again = mlsnn("train", "--out", "a", *SMALL, "--resume")
    assert again.json["threads"] == 2 and "2 threads, as before" in again.err
    assert mlsnn("train", "--out", "b", *SMALL, "--threads", 1).json["threads"] == 1
