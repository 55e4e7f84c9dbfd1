"""Networks by name: what is taken is what its card describes, or nothing is."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import run

import pytest
import torch

from lava_mlsnn import ModelConfig, build_model, zoo
from lava_mlsnn.data import load_dataset
from lava_mlsnn.errors import ConfigError, DataError, FormatError, MLSNNError, ParityError
from lava_mlsnn.parity import Difference, ParityReport
from lava_mlsnn.reproduce.adopt import adopt
from lava_mlsnn.training.checkpoint import save_checkpoint
from netx_export import read

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "add_network.py"
HERE = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with one network, added by the tool from a checkpoint, without Lava."""
    folder = tmp_path_factory.mktemp("zoo")
    torch.manual_seed(0)
    data = load_dataset("digits")
    model = build_model(ModelConfig(arch="sparse-resnet-small", width=2, levels=2, input_levels=16))
    model.class_names = data.classes
    for start in (0, 200):
        model.train()(torch.from_numpy(data.x_train[start : start + 200]))
    save_checkpoint(folder / "model.pt", model, {"dataset": "digits", "epoch": 3})
    options = {
        "folder": folder / "networks",
        "name": "digits-tiny",
        "checkpoint": folder / "model.pt",
        "dataset": replace(data, x_test=data.x_test[:60], y_test=data.y_test[:60]),
        "called": "digits",
        "note": "untrained",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lava_mlsnn.reproduce.adopt.lava_available", lambda: False)
        adopt(**options)
    return options


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy of it, to be damaged."""
    for file in made["folder"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    return tmp_path


def test_a_card_says_what_its_network_is(folder):
    (card,) = zoo.cards().values()
    path = zoo.network_file("zoo:digits-tiny")
    assert path == card.file == folder / "digits-tiny.net"
    spec, row = read(path), card.row()
    assert (row["architecture"], row["N"], row["T"]) == ("sparse-resnet-small", 2, 1)
    assert card.content["model"] == spec.provenance["config"]
    assert spec.provenance["dataset"] == row["data"] == "digits"
    assert row["bytes"] == path.stat().st_size
    assert card.content["parity"]["differences"] == 0 < card.content["parity"]["compared"]
    assert {"ann", "zero-skip", "snn-mac"} <= set(card.content["energy_nj"])
    assert card.content["samples"] == 60 and card.content["note"] == "untrained"
    assert "| digits-tiny | digits | sparse-resnet-small |" in (folder / "README.md").read_text()


def test_a_path_is_left_as_it_is(folder):
    for name in ("a.net", Path("b/zoo:c"), "./zoo:digits-tiny"):
        assert zoo.network_file(name) == Path(name)


@pytest.mark.parametrize("change", ["flip", "shorten", "remove", "swap"])
def test_another_file_is_not_taken_under_the_name(folder, change):
    file = folder / "digits-tiny.net"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if change == "remove":
        file.unlink()
    elif change == "swap":
        file.write_bytes((Path(__file__).parents[1] / "golden" / "row.net").read_bytes())
    else:
        file.write_bytes(content if change == "flip" else content[:-1])
    with pytest.raises(FormatError, match=r"digits-tiny.net: .*checkout's history"):
        zoo.network_file("zoo:digits-tiny")


def test_a_name_that_is_none_says_which_there_are(folder):
    for name in ("zoo:", "zoo:digits", "zoo:../digits-tiny", "zoo:digits-tiny.net"):
        with pytest.raises(DataError, match=r"there is no network .*such as digits-tiny"):
            zoo.network_file(name)


def test_an_installed_package_says_where_networks_are(monkeypatch, tmp_path):
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "results" / "networks")
    with pytest.raises(DataError, match="checkout of the source code, in results/networks"):
        zoo.network_file("zoo:digits-tiny")


def damaged(card, place, value):
    *path, last = place.split(".")
    inner = card
    for part in path:
        inner = inner[part]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(card)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("name", "other"),
        ("data", 3),
        ("levels", None),
        ("levels", "4"),
        ("accuracy", 0.9),
        ("accuracy.integer", "x"),
        ("accuracy.integer", float("nan")),
        ("activity.operations.events", float("inf")),
        ("energy_nj", {}),
        ("network.sha256", 1),
        ("network", None),
    ],
    ids=str,
)
def test_a_damaged_card_is_named(folder, place, value):
    path = folder / "digits-tiny.json"
    path.write_text(damaged(json.loads(path.read_text()), place, value))
    with pytest.raises(FormatError, match=r"digits-tiny.json: a card must be"):
        zoo.cards()


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "null", "[" * 100_000, b"\xff"])
def test_what_is_no_card_is_named(folder, content):
    path = folder / "digits-tiny.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FormatError, match=r"digits-tiny.json: a card must be"):
        zoo.cards()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "../up"}, "a network's name is of small letters"),
        ({"called": "/some/folder"}, "not a folder"),
        ({"checkpoint": Path("gone.pt")}, "there is no checkpoint gone.pt"),
    ],
    ids=["name", "folder of this machine", "no checkpoint"],
)
def test_what_cannot_be_a_card_is_refused_and_nothing_is_written(made, tmp_path, changes, says):
    with pytest.raises(MLSNNError, match=says):
        adopt(**{**made, "folder": tmp_path / "new", **changes})
    assert not (tmp_path / "new").exists()


def test_a_network_that_differs_is_not_kept(made, tmp_path, monkeypatch):
    def differs(*args, **options):
        difference = Difference("stem", "lava", 1, 9, 1, 0, 0, (0, 0, 0), 1, 2)
        return ParityReport({"lava": 1}, ["stem"], 9, [difference])

    monkeypatch.setattr("lava_mlsnn.reproduce.adopt.check_parity", differs)
    with pytest.raises(ParityError, match="layer stem: lava differs"):
        adopt(**{**made, "folder": tmp_path / "new"})
    assert not (tmp_path / "new").exists()


def test_other_classes_than_those_of_the_training_are_refused(made, tmp_path):
    data = replace(made["dataset"], classes=tuple("abcdefghij"))
    with pytest.raises(DataError, match="classes must have the names"):
        adopt(**{**made, "folder": tmp_path, "dataset": data})


def test_the_tool_is_the_one_command(made, tmp_path):
    command = [sys.executable, TOOL, "digits-tiny", made["checkpoint"], "--data", "digits"]
    done = run([*command, "--called", "a/b", "--folder", tmp_path / "new"],
               env=HERE, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 1 and not (tmp_path / "new").exists()
    assert done.stderr.startswith("add_network: error: the data's name on a card")


def test_a_network_must_be_small_and_the_one_of_its_card(folder, tmp_path):
    content = json.loads((folder / "digits-tiny.json").read_text())
    for network, says in ((b"x" * (zoo.LARGEST + 1), "at most 5,000,000 bytes"), (b"x", "another")):
        with pytest.raises(ConfigError, match=says):
            zoo.add_network(tmp_path, "new", network, content)
        assert not list(tmp_path.glob("new*"))
