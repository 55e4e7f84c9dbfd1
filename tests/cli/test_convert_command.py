"""``mlsnn convert``: a file of the user to a network file, and every way in which it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lava_mlsnn
from netx_export import read

HERE = {**os.environ, "PYTHONPATH": str(Path(lava_mlsnn.__file__).parents[1])}

MODULE = """
import torch
from torch import nn
from beside import WIDTH

def net():
    return nn.Sequential(
        nn.Conv2d(1, WIDTH, 3, 2, 1), nn.BatchNorm2d(WIDTH), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4 * WIDTH, 10))

def gelu():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.GELU())

def breaks():
    raise KeyError("nothing")

number = 3
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "beside.py").write_text("WIDTH = 4\n")
    (tmp_path / "own.py").write_text(MODULE)
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, 2, 1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(16, 10),
    )  # fmt: skip
    torch.save({"state_dict": net.state_dict()}, tmp_path / "own.pt")
    torch.save(net, tmp_path / "whole.pt")
    torch.save(torch.nn.Linear(3, 3).state_dict(), tmp_path / "other.pt")
    return tmp_path


def test_a_file_is_written_and_its_losses_are_listed(mlsnn, folder):
    answer = mlsnn(
        *("convert", "own.py:net", "--weights", "own.pt", "--levels", 15, "--samples", 40),
        *("--calibration", 64, "--out", "own.net", "--plot", "own.png", "--json"),
    )
    assert answer.code == 0, answer.err
    found = answer.json
    spec = read(folder / "own.net")
    assert spec.class_names == tuple("0123456789") and spec.provenance["dataset"] == "digits"
    assert found["layers"] == len(spec.populations) and found["samples"] == 40
    assert abs(found["accuracy_float"] - found["accuracy_integer"]) <= 0.1
    assert json.dumps(found["errors"]) and (folder / "own.png").exists()
    assert "to mend first in front" in answer.err
    checked = mlsnn("run", "own.net", "--samples", 40, "--json")
    assert checked.json["accuracy"] == pytest.approx(found["accuracy_integer"])


def test_weights_that_lose_bits_are_told_once(folder):
    command = [sys.executable, "-m", "lava_mlsnn", "convert", "own.py:net", "--weights", "own.pt"]
    command += ["--levels", "30000", "--samples", "5", "--calibration", "32", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=HERE)
    assert done.returncode == 0, done.stderr
    (said,) = [x for x in done.stderr.splitlines() if x.startswith("mlsnn: warning: layer '")]
    assert "of 8 weight bits left" in said and "fewer levels" in said
    assert done.stderr.count("weight bits left") == 1
    assert json.loads(done.stdout)["errors"]["bits"] < 7


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("own.py",), "FILE.py:FACTORY"),
        (("none.py:net",), "no such Python file"),
        (("own.pt:net",), "must end with .py"),
        (("own.py:other",), "own.py: has no 'other'"),
        (("own.py:gellu",), "did you mean gelu?"),
        (("own.py:number",), "must be or make a torch.nn.Module"),
        (
            ("own.py:breaks",),
            f"own.py:{MODULE[: MODULE.index('raise')].count(chr(10)) + 1}: raised KeyError",
        ),
        (("own.py:gelu",), "layer '2': GELU"),
        (("own.py:net", "--weights", "none.pt"), "no file of weights"),
        (("own.py:net", "--weights", "own.py"), "no file of weights alone"),
        (("own.py:net", "--weights", "whole.pt"), "no file of weights alone"),
        (("own.py:net", "--weights", "other.pt"), "weights of another network"),
        (("own.py:net", "--weights", "own.pt", "--out", "own.pt"), "name another for the result"),
        (("own.py:net", "--data", "nowhere"), "nowhere"),
        (("own.py:net", "--threshold", "best"), "threshold must be one of"),
        (("own.py:net", "--data", "digits-events"), "of events"),
        (("own.py:net", "--levels", 8_000_000), "layer '5': no weight bit is left"),
    ],
)
def test_what_cannot_be_is_one_sentence(mlsnn, folder, arguments, words):
    answer = mlsnn("convert", *arguments)
    assert words in answer.error
    assert not (folder / "network.net").exists()
