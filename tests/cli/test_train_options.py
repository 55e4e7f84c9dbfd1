"""``mlsnn train`` with recipes, a teacher, and frames of events."""

from __future__ import annotations

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
        (("--shift", "100000"), "shift must be smaller than the images of digits, 8 x 8 pixels"),
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
