"""``mlsnn`` called in this process, and one small trained network for all tests."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass

import pytest
import torch
from typer.testing import CliRunner

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # other workers want the cores: no threads to measure


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        """The one line of an error; fails if there is more to it."""
        lines = [line for line in self.err.splitlines() if line.startswith("mlsnn: error: ")]
        assert self.code == 2 and len(lines) == 1, (self.code, self.err)
        assert self.err.splitlines()[-1] == lines[0] and "Traceback" not in self.err
        return lines[0]


def call(*arguments) -> Answer:
    from lava_mlsnn.cli.app import app

    try:
        runner = CliRunner(mix_stderr=False)  # click before 8.2
    except TypeError:
        runner = CliRunner()
    result = runner.invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def mlsnn(tmp_path, monkeypatch):
    """Runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path.parent))
    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with model.pt of one epoch and network.net, and what the commands said."""
    folder = tmp_path_factory.mktemp("trained")
    answer = call(
        *("train", "--out", folder, "--epochs", 1, "--width", 4, "--batch-size", 128, "--json")
    )
    assert answer.code == 0, answer.err
    exported = call("export", folder / "model.pt", "--out", folder / "network.net", "--json")
    assert exported.code == 0, exported.err
    return folder, answer, exported


@pytest.fixture
def copy(trained, tmp_path):
    """The trained files, to be damaged."""
    for name in ("model.pt", "network.net"):
        shutil.copy(trained[0] / name, tmp_path / name)
    return tmp_path
