"""The prepared GPU script does its whole round on a CPU, within the time it is given."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import gpu_trainings
from lava_mlsnn import zoo
from netx_export import read

torch.set_num_threads(1)
NAME = "cifar10-sparse-resnet-18"
OPTIONS = ("--device", "cpu", "--threads", "1", "--width", "2", "--batch-size", "8")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A tar of 32 training and 4 test images of 8x8 pixels, in a folder of its own."""
    place, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for part, count in (("train", 16), ("test", 2)):
        for label in ("cat", "dog"):
            folder = place / "set" / part / label
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    with tarfile.open(place / "set.tar.xz", "w:xz") as archive:
        archive.add(place / "set", "set")
    return place / "set.tar.xz"


def run(images, out, *more):
    options = [str(images), str(out), *OPTIONS, "--only", NAME, "--skip-rows", *more]
    return gpu_trainings.main(options)


def test_a_round_leaves_networks_records_and_cards(images, tmp_path, monkeypatch):
    monkeypatch.setattr("lava_mlsnn.reproduce.adopt.lava_available", lambda: False)
    assert run(images, tmp_path, "--epochs", "1", "--seconds", "250") == 0
    (record,) = json.loads((tmp_path / "trainings.json").read_text())["trainings"]
    card = zoo.cards(tmp_path / "networks")[NAME]
    assert card.content["parity"]["differences"] == 0 and card.content["samples"] == 4
    assert card.content["accuracy"] == record["accuracy"]
    spec = read(tmp_path / f"{NAME}.net")
    assert spec.provenance["dataset"] == card.content["data"] == "cifar10"
    assert spec.provenance["train_config"] == record["recipe"] == card.content["recipe"]


def test_time_that_is_up_ends_it_with_what_is_finished(images, tmp_path, capsys):
    assert run(images, tmp_path, "--epochs", "1", "--seconds", "0") == 0
    assert "the time is up after 1 of 1 epochs" in capsys.readouterr().out
    assert json.loads((tmp_path / "trainings.json").read_text())["trainings"] == []
    assert not (tmp_path / "networks").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(images, tmp_path, capsys):
    assert gpu_trainings.main([str(images), str(tmp_path)]) == 2
    assert "torch sees no GPU" in capsys.readouterr().err


def test_an_archive_of_other_things_is_named(images, tmp_path, capsys):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(images, "x")
    assert run(tmp_path / "a.tar", tmp_path / "out") == 2
    assert "an archive of images holds train/ and test/" in capsys.readouterr().err


def test_the_networks_that_are_compared_get_as_many_epochs(monkeypatch, images, tmp_path):
    seconds = {"cifar10-sew-resnet-18": 2.0}
    monkeypatch.setattr(
        gpu_trainings.Session, "epoch_seconds", lambda self, plan, data: seconds.get(plan.name, 1.0)
    )
    options = gpu_trainings.arguments([str(images), str(tmp_path), *OPTIONS, "--seconds", "530"])
    found = gpu_trainings.Session(options).epochs(None)
    assert found[NAME] == found["cifar10-sew-resnet-18"] < found["cifar10-sparse-resnet-18-t4-n1"]
    spent = sum(count * seconds.get(name, 1.0) for name, count in found.items())
    assert 0 < spent < 530
