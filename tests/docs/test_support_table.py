"""docs/support.md says what the code says when it is asked."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip("lava.magma")
pytest.importorskip("onnx")
ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "support_table.py"))


@pytest.mark.lava
@pytest.mark.parametrize("name", TOOL["TABLES"])
def test_the_table_of_what_is_exact_is_that_of_the_code(name):
    if name == "nir":
        pytest.importorskip("nir")
    text = (ROOT / "docs" / "support.md").read_text()
    for mark in (TOOL["START"], TOOL["END"]):
        assert text.count(mark.format(name)) == 1
    assert text == TOOL["renewed"](text, name), "run tools/support_table.py"
