"""What the project needs is pinned, under licences that suit it, and as it was installed."""

from __future__ import annotations

import base64
import hashlib
import sys
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

pytest.importorskip("packaging")

from trust.supply import KNOWN, Package, faults, needed, pins, tampered


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="constraints.txt holds Python 3.10")
def test_everything_that_is_needed_is_pinned_and_under_a_known_licence():
    packages = needed()
    assert {"torch", "numpy", "h5py", "typer", "hypothesis"} <= set(packages)
    assert list(faults(packages)) == []
    assert set(KNOWN) <= set(packages), "an exception that nothing needs"


def made(folder: Path, name: str, licence: str, version: str = "1.0") -> Distribution:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: {licence}\n"
    (info / "METADATA").write_text(text)
    code = b"x = 1\n"
    (folder / f"{name}.py").write_bytes(code)
    digest = base64.urlsafe_b64encode(hashlib.sha256(code).digest()).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"{name}.py,sha256={digest},{len(code)}\n")
    return PathDistribution(info)


def test_what_is_not_pinned_other_or_copyleft_is_named(tmp_path):
    name, version = next(iter(pins().items()))
    packages = {
        p.name: p
        for p in (
            Package("nowhere", "1.0", "MIT", made(tmp_path, "nowhere", "MIT")),
            Package(name, version + ".1", "MIT", made(tmp_path, name, "MIT", version + ".1")),
            Package("numpy", pins()["numpy"], "GPLv3", made(tmp_path, "numpy", "GPLv3")),
        )
    }
    found = list(faults(packages))
    assert len(found) == 3 and any("not in constraints" in text for text in found)
    assert f"{name}: {version}.1 is installed, constraints.txt has {version}" in found
    assert "numpy: GPLv3" in found


def test_a_file_that_was_changed_or_taken_away_is_named(tmp_path):
    found = made(tmp_path, "thing", "MIT")
    assert list(tampered(found)) == []
    (tmp_path / "thing.py").write_text("x = 2\n")
    assert list(tampered(found)) == ["thing.py: changed"]
    (tmp_path / "thing.py").unlink()
    assert list(tampered(found)) == ["thing.py: missing"]
