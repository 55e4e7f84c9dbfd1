"""The search for Python 3.10: what counts, in which order, and what is said when there is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FINDER = ROOT / "tools" / "find_python.sh"

GOOD = "echo ok"
OTHER = "echo 'is Python 3.12'"
NO_VENV = "echo 'lacks the module ensurepip'"
SHIM = "echo 'pyenv: python3.10: command not found' >&2; exit 127"


class Machine:
    """A file system of its own: a PATH, a home and nothing of the real machine's Pythons."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.bin = root / "bin"
        self.home.mkdir()
        self.bin.mkdir()
        # The script itself needs these; the folders that hold the real ones may hold Pythons too.
        for tool in ("bash", "sort", "cat"):
            source = next(
                Path(d) / tool
                for d in os.environ["PATH"].split(os.pathsep)
                if (Path(d) / tool).exists()
            )
            (self.bin / tool).symlink_to(source)

    def program(self, path: str, body: str) -> Path:
        """Put an executable shell script at ``path`` below the root."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)
        return file

    def find(self, **variables: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.bin), "HOME": str(self.home), "SYSROOT": str(self.root)}
        return subprocess.run(
            [str(self.bin / "bash"), str(FINDER)],
            env={**env, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


PLACES = {
    "PATH": "bin/python3.10",
    "PATH, as python3": "bin/python3",
    "pyenv": "home/.pyenv/versions/3.10.13/bin/python3.10",
    "pyenv environment": "home/.pyenv/versions/lava/bin/python3.10",
    "uv": "home/.local/share/uv/python/cpython-3.10.16-linux-x86_64-gnu/bin/python3.10",
    "conda base": "home/miniconda3/bin/python3.10",
    "conda environment": "home/miniforge3/envs/lava/bin/python3.10",
    "conda for all": "opt/conda/envs/py310/bin/python3.10",
    "system": "usr/bin/python3.10",
    "Homebrew": "opt/homebrew/opt/python@3.10/bin/python3.10",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_found_in_each_place(machine: Machine, place: str) -> None:
    file = machine.program(place, GOOD)
    result = machine.find()
    assert result.stdout == f"{file}\n"
    assert result.returncode == 0
    assert result.stderr == ""


def test_earlier_places_win(machine: Machine) -> None:
    order = ["PATH", "PATH, as python3", "pyenv", "uv", "conda base", "conda environment", "system"]
    files = [machine.program(PLACES[name], GOOD) for name in order]
    for file in files:
        assert machine.find().stdout == f"{file}\n"
        file.unlink()


def test_folders_that_variables_name(machine: Machine) -> None:
    cases = {
        "PYENV_ROOT": ("else/pyenv", "versions/3.10.4/bin/python3.10"),
        "UV_PYTHON_INSTALL_DIR": ("else/uv", "cpython-3.10.4-macos/bin/python3.10"),
        "CONDA_PREFIX": ("else/conda", "bin/python3.10"),
        "MAMBA_ROOT_PREFIX": ("else/mamba", "envs/a/bin/python3.10"),
    }
    for variable, (folder, rest) in cases.items():
        file = machine.program(f"{folder}/{rest}", GOOD)
        assert machine.find(**{variable: str(machine.root / folder)}).stdout == f"{file}\n"
        assert machine.find().returncode == 1


def test_conda_environment_from_its_list(machine: Machine) -> None:
    file = machine.program("far/env one/bin/python3.10", GOOD)
    (machine.home / ".conda").mkdir()
    (machine.home / ".conda" / "environments.txt").write_text(f"{machine.root}/far/env one\n")
    assert machine.find().stdout == f"{file}\n"


def test_what_uv_answers(machine: Machine) -> None:
    file = machine.program("far/python3.10", GOOD)
    machine.program("bin/uv", f'[ "$1 $2" = "python find" ] && echo "{file}"')
    assert machine.find().stdout == f"{file}\n"
    machine.program("bin/uv", "echo 'error: no interpreter found' >&2; exit 2")
    assert machine.find().returncode == 1


def test_shim_that_does_not_run_leads_to_its_pyenv(machine: Machine) -> None:
    machine.program("else/pyenv/shims/python3.10", SHIM)
    file = machine.program("else/pyenv/versions/3.10.2/bin/python3.10", GOOD)
    path = f"{machine.root}/else/pyenv/shims:{machine.bin}"
    assert machine.find(PATH=path).stdout == f"{file}\n"


def test_later_folder_of_the_path_behind_a_broken_one(machine: Machine) -> None:
    machine.program("shims/python3.10", SHIM)
    file = machine.program("bin/python3.10", GOOD)
    assert machine.find(PATH=f"{machine.root}/shims:{machine.bin}").stdout == f"{file}\n"


def test_newest_patch_release_of_pyenv(machine: Machine) -> None:
    for patch in (4, 13, 9):
        machine.program(f"home/.pyenv/versions/3.10.{patch}/bin/python3.10", GOOD)
    assert "/3.10.13/" in machine.find().stdout


def test_none_says_what_to_install(machine: Machine) -> None:
    machine.program("bin/python3", OTHER)
    result = machine.find()
    assert result.returncode == 1
    assert result.stdout == ""
    for word in ("uv python install 3.10", "pyenv install 3.10", "conda create", "apt install"):
        assert word in result.stderr
    assert "not usable" not in result.stderr


def test_without_ensurepip_names_the_package(machine: Machine) -> None:
    file = machine.program("bin/python3.10", NO_VENV)
    result = machine.find()
    assert result.returncode == 1
    assert f"{file} lacks the module ensurepip" in result.stderr
    assert "apt install python3.10-venv" in result.stderr


def test_python_without_ensurepip_does_not_hide_a_sound_one(machine: Machine) -> None:
    machine.program("bin/python3.10", NO_VENV)
    file = machine.program(PLACES["uv"], GOOD)
    assert machine.find().stdout == f"{file}\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [(OTHER, "it is Python 3.12"), (NO_VENV, "lacks the module ensurepip"), (SHIM, "does not run")],
)
def test_given_python_is_checked_and_nothing_else_is_taken(
    machine: Machine, body: str, reason: str
) -> None:
    machine.program("bin/python3.10", GOOD)
    given = machine.program("else/python", body)
    result = machine.find(PYTHON=str(given))
    assert result.returncode == 1
    assert reason in result.stderr
    assert f"PYTHON={given}" in result.stderr


def test_given_python_wins(machine: Machine) -> None:
    machine.program("bin/python3.10", GOOD)
    given = machine.program("else where/python", GOOD)
    assert machine.find(PYTHON=str(given)).stdout == f"{given}\n"


def test_given_python_that_is_missing(machine: Machine) -> None:
    result = machine.find(PYTHON="no-such-python")
    assert result.returncode == 1
    assert "names no program" in result.stderr


def test_environment_to_be_replaced_is_left_out(machine: Machine) -> None:
    machine.program("repo/.venv/bin/python3.10", GOOD)
    path = f"{machine.root}/repo/.venv/bin:{machine.bin}"
    assert machine.find(PATH=path).returncode == 0
    assert machine.find(PATH=path, AVOID=f"{machine.root}/repo/.venv").returncode == 1


def test_another_version_is_found_in_the_same_places(machine: Machine) -> None:
    machine.program(PLACES["PATH"], GOOD)
    for place in PLACES.values():
        file = machine.program(place.replace("3.10", "3.12"), GOOD)
        found = machine.find(WANT="3.12").stdout
        file.unlink()
        assert found == f"{file}\n"
        if place == "bin/python3":  # any version may have this name
            machine.program("bin/python3", OTHER)
    nothing = machine.find(WANT="3.12")
    assert nothing.returncode == 1
    assert "No usable Python 3.12" in nothing.stderr and "Lava" not in nothing.stderr
