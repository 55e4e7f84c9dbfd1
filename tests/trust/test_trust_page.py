"""docs/trust.md names tests that are there, and the figures of the committed runs."""

from __future__ import annotations

import ast
import json
import re

import pytest

from trust.page import PAGE, RUNS, renewed
from trust.record import RESULTS, ROOT

TEXT = PAGE.read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", TEXT)))


def test_every_test_that_keeps_a_promise_is_there():
    assert len(NAMED) > 30
    missing = []
    for file, name in NAMED:
        tree = ast.parse((ROOT / file).read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        missing += [f"{file}::{name}"] if name and name not in functions else []
    assert missing == []


def test_every_promise_names_a_test():
    for line in TEXT.split("## The last long runs")[0].splitlines():
        if line.startswith("|") and not re.match(r"\|( promise|---)", line):
            assert "`tests/" in line, line


def test_the_figures_are_those_of_the_results():
    assert renewed(TEXT) == TEXT, "run python -m trust page"


def test_every_result_is_one_of_a_run():
    assert {file.stem for file in RESULTS.glob("*.json")} <= set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_a_result_says_where_it_comes_from(name):
    file = RESULTS / f"{name}.json"
    if not file.exists():
        pytest.skip("not run yet; the page says so")
    result = json.loads(file.read_text())
    assert file.with_suffix(".md").exists()
    assert re.fullmatch("[0-9a-f]{12}", result["commit"]), "a run belongs to a commit"
    assert result["command"].startswith("python -m trust ") and result["machine"]["cores"]
    assert str(ROOT) not in file.read_text()
