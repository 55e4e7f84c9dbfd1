"""``mlsnn zoo``, and ``zoo:NAME`` wherever a command takes a network."""

from __future__ import annotations

import json
import os
import sys
from subprocess import run

import pytest

from lava_mlsnn import zoo
from lava_mlsnn.errors import FormatError

NAME = "levels-n4-t1"
HERE = {**os.environ, "PYTHONPATH": str(zoo.FOLDER.parents[1])}


def test_the_networks_of_the_checkout_are_listed_and_shown(mlsnn):
    listed = mlsnn("zoo", "--json").json["networks"]
    assert {row["name"]: row for row in listed}.keys() == zoo.cards().keys()
    assert all(row["bytes"] < zoo.LARGEST and 0 < row["accuracy, %"] <= 100 for row in listed)
    shown = mlsnn("zoo")
    assert shown.code == 0 and all(row["name"] in shown.out for row in listed)
    for name in (NAME, f"zoo:{NAME}"):
        card = mlsnn("zoo", name, "--json").json["card"]
        assert card["name"] == NAME and card["network"]["sha256"]
    assert "recipe.epochs" in mlsnn("zoo", NAME).out


def test_a_name_runs_as_its_file(mlsnn, tmp_path):
    copied = mlsnn("zoo", NAME, "--out", "copy.net", "--json").json
    assert copied["file"] == "copy.net"
    files = [f"zoo:{NAME}", "copy.net"]
    found = [mlsnn("run", f, "--samples", 60, "--json").json for f in files]
    assert found[0]["file"] == str(zoo.network_file(files[0]))
    for answer in found:
        answer.pop("seconds"), answer.pop("file")
    assert found[0] == found[1]
    layers = [mlsnn("info", f, "--json").json["layers"] for f in files]
    assert layers[0] == layers[1]
    answer = mlsnn("export", f"zoo:{NAME}", "--to", "onnx", "--out", "a.onnx")
    assert answer.code == 0 or "onnx" in answer.error


def test_no_network_of_the_checkout_is_written_over(mlsnn):
    file = zoo.network_file(f"zoo:{NAME}")
    assert "this is the file that is read" in mlsnn("zoo", NAME, "--out", file).error
    assert zoo.network_file(f"zoo:{NAME}") == file


def test_errors_are_one_line(mlsnn):
    assert "there is no network 'gone'" in mlsnn("zoo", "gone").error
    assert "--out goes with the name" in mlsnn("zoo", "--out", "a.net").error


@pytest.mark.parametrize("command", ["run", "export"])
def test_an_unknown_name_is_one_line_in_every_command(command, tmp_path):
    done = run(
        [sys.executable, "-m", "lava_mlsnn", command, "zoo:gone"],
        cwd=tmp_path, env=HERE, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("mlsnn: error: there is no network 'gone'; 'mlsnn zoo' lists")


def test_a_damaged_network_does_not_run_by_name(mlsnn, monkeypatch, tmp_path):
    for suffix in (".json", ".net"):
        content = (zoo.FOLDER / f"{NAME}{suffix}").read_bytes()
        (tmp_path / f"{NAME}{suffix}").write_bytes(content)
    (tmp_path / f"{NAME}.net").write_bytes(b"other")
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    assert "SHA-256 of its card" in mlsnn("zoo", NAME).error
    with pytest.raises(FormatError, match="SHA-256 of its card"):  # the command line's last resort
        mlsnn("run", f"zoo:{NAME}")
    assert json.loads((tmp_path / f"{NAME}.json").read_text())["name"] == NAME
