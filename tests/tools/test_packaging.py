"""What a user installs: every module, and nothing of Lava where Lava does not exist."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lava_mlsnn", "netx_export")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def build(folder: Path, out: Path, epoch: str) -> dict[str, bytes]:
    """Wheel and source archive of a checkout."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return {file.name: file.read_bytes() for file in out.iterdir()}


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    """In another folder, at another time, under another umask, in another order."""
    pytest.importorskip("hatchling")
    named = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if named.returncode:
        pytest.skip("needs git")
    wanted = ("lava_mlsnn/", "netx_export/", "pyproject.toml", "README.md", "LICENSE")
    names = [n for n in named.stdout.split("\0") if n.startswith(wanted) and (ROOT / n).exists()]
    made = []
    for order, mask in ((1, 0o022), (-1, 0o077)):
        before, folder = os.umask(mask), tmp_path / f"checkout{order}"
        try:
            for name in names[::order]:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((ROOT / name).read_bytes())
                os.utime(folder / name, (0, 10**9 * (2 + order)))
            made.append(build(folder, folder / "dist", "1700000000"))
        finally:
            os.umask(before)
    first, second = made
    assert len(first) == 2 and first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    other = build(tmp_path / "checkout1", tmp_path / "later", "1600000000")
    assert other != first, "the time is not that of SOURCE_DATE_EPOCH"


def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_wheel_holds_every_module_and_the_type_marks(wheel: zipfile.ZipFile) -> None:
    sources = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file()
        and file.suffix in {".c", ".h", ".html", ".py", ".typed"}
        and "__pycache__" not in file.parts
    }
    assert any("/proc/" in name for name in sources), "the folders without __init__.py are gone"
    assert sources <= set(wheel.namelist())


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def requirements(wheel: zipfile.ZipFile, version: str, extra: str) -> list[Requirement]:
    """What an installation with one extra brings on a version of Python."""
    environment = {**default_environment(), "python_version": version, "extra": extra}
    every = map(Requirement, metadata(wheel).get_all("Requires-Dist", []))
    return [r for r in every if r.marker is None or r.marker.evaluate(environment)]


@pytest.mark.parametrize(("version", "lava"), [("3.10", True), ("3.11", False), ("3.13", False)])
def test_lava_is_asked_for_on_python_3_10_alone(
    wheel: zipfile.ZipFile, version: str, lava: bool
) -> None:
    names = {requirement.name for requirement in requirements(wheel, version, "")}
    assert ({"lava-nc", "lava-dl"} <= names) == lava
    assert names.isdisjoint({"lava-nc", "lava-dl"}) != lava
    assert {"torch", "numpy", "h5py", "typer"} <= names


@pytest.mark.parametrize(
    ("file", "version", "extras"),
    [("constraints.txt", "3.10", None), ("constraints-lava.txt", "3.13", {"", "lava", "test"})],
)
def test_constraints_are_exact_versions_and_fit_the_project(
    wheel: zipfile.ZipFile, file: str, version: str, extras: set[str] | None
) -> None:
    lines = (ROOT / file).read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    for pin in pins:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", pin), pin
    versions = {normal(pin.split("==")[0]): pin.split("==")[1] for pin in pins}
    assert len(versions) == len(pins)
    every = metadata(wheel).get_all("Provides-Extra", [])
    for extra in ["", *every] if extras is None else extras:
        for requirement in requirements(wheel, version, extra):
            assert normal(requirement.name) in versions, f"{requirement.name} is not held"
            assert requirement.specifier.contains(versions[normal(requirement.name)])


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
