"""docs/architecture.md is what the code is: its rooms, its figure, its lists of files."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest

import netx_export
from netx_export import spec

pytest.importorskip("grimp")
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
TOOL = runpy.run_path(str(ROOT / "tools" / "architecture.py"))
KINDS = {
    base.__name__.lower(): {kind.__name__ for kind in base.__subclasses__()}
    for base in (spec.Synapse, spec.Neuron)
}
MOST = {"synapse": 12, "neuron": 15, "block": 3, "backend": 3, "file format": 4}


def lists(what: str) -> list[list[str]]:
    """Files of the tables of one section: what has to be touched, what may be."""
    (section,) = re.findall(rf"^## To add a {what}\b[^\n]*\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    tables = re.findall(r"\|---\|---\|\n((?:\|.*\n)+)", section)
    return [re.findall(r"^\| `([^`]+)`", table, re.M) for table in tables]


def knows(path: Path, kinds: set[str]) -> bool:
    """Whether a file imports one of the kinds from the spec."""
    return any(
        isinstance(node, ast.ImportFrom)
        and str(node.module).startswith("netx_export.spec")
        and kinds & {alias.name for alias in node.names}
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_the_table_of_rooms_is_that_of_the_imports():
    assert PAGE.count(TOOL["START"]) == PAGE.count(TOOL["END"]) == 1
    assert TOOL["renewed"](PAGE) == PAGE, "run tools/architecture.py"


def test_the_names_that_the_face_hands_on_are_on_the_page():
    (said,) = re.findall(r"hands six names on(.*?)\n2\. ", PAGE, re.S)
    homes = netx_export._HOMES.items()
    assert set(re.findall(r"`(\w+)`", said)) == {n for n, m in homes if m.startswith("lava_mlsnn")}


def test_the_figure_is_drawn_and_every_arrow_runs_down(tmp_path):
    found = TOOL["arrows"]()
    floor = {name: k for k, names in enumerate(TOOL["floors"]()) for name in names}
    assert len(found) > 50
    assert [pair for pair in found if floor[pair[0]] >= floor[pair[1]]] == []
    TOOL["draw"](found, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 20_000
    assert (ROOT / "docs/images/architecture.png").stat().st_size > 20_000


@pytest.mark.parametrize("what", MOST)
def test_the_files_of_a_list_are_there_and_few(what):
    have, *may = lists(what)
    assert 1 < len(have) <= MOST[what]
    for name in sum(may, have):
        path, made = re.subn(r"<\w+>.*", "", name)
        assert (ROOT / path).is_dir() if made else (ROOT / path).is_file(), name


@pytest.mark.parametrize("what", KINDS)
def test_every_file_that_knows_a_kind_is_in_its_list(what):
    listed = {name for table in lists(what) for name in table}
    own = f"netx_export/spec/{what}s/"
    homes = tuple(name[: name.find("<")] for name in listed if "<" in name)
    knowing = {
        str(path.relative_to(ROOT))
        for package in ("lava_mlsnn", "netx_export")
        for path in (ROOT / package).rglob("*.py")
        if knows(path, KINDS[what])
    }
    assert len(KINDS[what]) > 2
    known = {name for name in knowing if not name.startswith(own)}
    unsaid = {name for name in known - listed if not name.startswith(homes)}
    assert unsaid == set(), "say on the page what these do for a new kind"
    may = set(lists(what)[1])
    assert may - known == set(), "they know no kind: take them from the page"
