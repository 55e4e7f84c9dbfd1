"""The tables of options in docs/ say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "option_tables.py"))


@pytest.mark.parametrize("page", TOOL["PAGES"])
def test_the_table_of_a_page_is_that_of_the_code(page):
    text = (ROOT / "docs" / page).read_text()
    assert text.count(TOOL["START"]) == text.count(TOOL["END"]) == 1
    assert text == TOOL["renewed"](text, TOOL["PAGES"][page]), "run tools/option_tables.py"
