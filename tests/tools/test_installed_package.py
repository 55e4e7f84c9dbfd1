"""What is released: the sdist builds the same wheel, which runs in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import lava_mlsnn

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=source)
    (file,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build("sdist", ROOT, folder)) as archive:
        archive.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return source


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel; only what it depends on is seen from ours."""
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(ours) + "\n")
    return folder


def test_the_sdist_holds_what_tests_and_builds_need(unpacked: Path) -> None:
    for name in ("pyproject.toml", "LICENSE", "CITATION.cff", "constraints.txt", "tests/golden"):
        assert (unpacked / name).exists(), name
    assert not any(path.name in (".venv", "dist") for path in unpacked.iterdir())
    files = [path for path in unpacked.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 40 * 2**20


def test_the_wheel_of_the_sdist_is_that_of_the_checkout(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ours = build("wheel", ROOT, tmp_path_factory.mktemp("checkout"))
    with zipfile.ZipFile(wheel) as a, zipfile.ZipFile(ours) as b:
        crc = [
            {i.filename: i.CRC for i in z.infolist() if "RECORD" not in i.filename} for z in (a, b)
        ]
    assert crc[0] == crc[1]


def test_the_installed_command_trains_and_compares(environment: Path, tmp_path: Path) -> None:
    mlsnn, one = environment / "bin" / "mlsnn", {"OMP_NUM_THREADS": "1"}
    where = "import lava_mlsnn, netx_export; print(lava_mlsnn.__file__, netx_export.__file__)"
    for file in run(environment / "bin" / "python", "-c", where, cwd=tmp_path).split():
        assert Path(file).is_relative_to(environment)
    assert run(mlsnn, "--version", cwd=tmp_path).strip() == f"mlsnn {lava_mlsnn.__version__}"
    demo = "demo --epochs 1 --lava-samples 0 --out demo"
    assert "no difference" in run(mlsnn, *demo.split(), cwd=tmp_path, **one)


def test_version_and_licence_are_the_same_everywhere() -> None:
    project, citation = ((ROOT / n).read_text() for n in ("pyproject.toml", "CITATION.cff"))
    assert re.findall(r'^version = "(.+)"$', project, re.M) == [lava_mlsnn.__version__]
    assert re.findall(r"^version: (.+)$", citation, re.M) == [lava_mlsnn.__version__]
    (licence,) = re.findall(r'^license = "(.+)"$', project, re.M)
    assert f"license: {licence}\n" in citation
    assert f"## [{lava_mlsnn.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_forms_and_citation_are_read_as_yaml() -> None:
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) == 3
    for form in forms:
        content = yaml.safe_load(form.read_text())
        if form.name != "config.yml":
            assert content["name"] and content["description"]
            ids = [part["id"] for part in content["body"]]
            assert len(set(ids)) == len(ids)
            assert all(part["attributes"]["label"] for part in content["body"])
