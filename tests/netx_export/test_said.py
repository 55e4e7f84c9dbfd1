"""What another library says is one plain line in our errors, everywhere."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lava_mlsnn.errors import said

ROOT = Path(__file__).parents[2]


@given(st.text(), st.integers(1, 50))
def test_it_is_one_printable_line_of_that_length(text, most):
    line = said(ValueError(text), most)
    assert line.isprintable() and 0 < len(line) <= max(most, len("ValueError"))


def test_what_is_plain_stays_and_what_is_empty_is_the_kind():
    assert said(ValueError("a  b\n c é 日本")) == "a b c é 日本"
    assert said(KeyError()) == "KeyError" and said(ValueError(" \n")) == "ValueError"
    assert said(ValueError("\x1b[31m\u202e")) == "\\x1b[31m\\u202e"


def test_nobody_does_it_by_hand():
    hand = re.compile(r"join\(str\(\w+\)\.split\(\)\)")
    found = [
        str(file.relative_to(ROOT))
        for package in ("lava_mlsnn", "netx_export")
        for file in sorted((ROOT / package).rglob("*.py"))
        if hand.search(file.read_text())
    ]
    assert found == ["netx_export/errors.py"]
