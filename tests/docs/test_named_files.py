"""A file that code or a page names is in the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(
    r"\b(?:(?:docs|tests|tools|tutorials|lava_mlsnn|netx_export|benchmarks|shared)/[\w/.-]*\w"
    r"\.(?:py|md|sh)|[A-Z]{4,}\.md)\b"
)
FOLDERS = ("lava_mlsnn", "netx_export", "benchmarks", "docs", "tutorials", "tools")
SOURCES = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".md", ".sh")
] + [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile"]


def missing(path: Path) -> list[str]:
    places = (ROOT, path.parent)
    found = NAMED.findall(path.read_text())
    return [name for name in found if not any((place / name).exists() for place in places)]


def test_every_file_that_is_named_is_there():
    assert len(SOURCES) > 200
    assert {str(path.relative_to(ROOT)): m for path in SOURCES if (m := missing(path))} == {}


@pytest.mark.parametrize("text", ["as in DESIGN.md", "``shared/notes/paper.md``", "docs/gone.md:"])
def test_a_file_that_is_not_there_is_found(tmp_path, text):
    page = tmp_path / "page.py"
    page.write_text(text)
    assert len(missing(page)) == 1
