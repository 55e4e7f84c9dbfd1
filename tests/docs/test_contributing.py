"""The commands of CONTRIBUTING.md run: make's dry, as they make environments, the others really."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lava_mlsnn

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"^ *```sh\n(.*?)^ *```$", TEXT, re.M | re.S)
COMMANDS = [
    line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()
]
OF_MAKE = [c for c in COMMANDS if c.startswith("make ")]
# They fetch what the tests may not: tests/tools/test_installed_package.py does both from here.
FETCHING = ("/tmp/released/bin/python -m pip install", "/tmp/released/bin/mlsnn demo")


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("command", OF_MAKE)
def test_make_knows_it_and_says_so_in_its_help(command: str) -> None:
    _, target = command.split()
    subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)
    said = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert re.search(rf"make {target}\b", said.stdout) or target == "lint"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, which the commands may write into; .venv/bin holds this Python's tools."""
    folder = tmp_path_factory.mktemp("contributing") / "checkout"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "results", "demo", "dist", "runs")
    shutil.copytree(ROOT, folder, ignore=ignored)
    (folder / ".venv" / "bin").mkdir(parents=True)
    for tool in ("python", "ruff"):
        module = "" if tool == "python" else f" -m {tool}"
        file = folder / ".venv" / "bin" / tool
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
        file.chmod(0o755)
    return folder


def test_every_other_command_runs(checkout: Path, tmp_path: Path) -> None:
    for module in ("grimp", "hatchling", "ruff"):
        pytest.importorskip(module)
    others = [c for c in COMMANDS if c not in OF_MAKE and not c.startswith(FETCHING)]
    assert len(others) >= 6
    path = os.pathsep.join([str(checkout / ".venv" / "bin"), os.environ["PATH"]])
    for command in others:
        result = subprocess.run(
            ["bash", "-c", command.replace("/tmp/released", str(tmp_path / "released"))],
            cwd=checkout,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"


def test_the_version_of_its_commands_is_the_present_one() -> None:
    assert set(re.findall(r"\d+\.\d+\.\d+", TEXT)) == {lava_mlsnn.__version__}
