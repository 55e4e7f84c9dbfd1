"""Every fault of a file is one change that still is Python; figures count what was tried."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from trust import coverage
from trust.mutation.command import _figures
from trust.mutation.mutants import Mutant, mutants_of
from trust.mutation.session import exchanged
from trust.mutation.swap import functions, put
from trust.mutation.targets import TARGETS, WHY

ROOT = Path(__file__).parents[2]
SOURCE = '''"""Text 1 < 2 stays."""
from typing import Any
__all__ = ["f"]
LIMIT: int = 3
def f(x: int, y: int | None = 2) -> int:
    if x < LIMIT and not y == 0:
        raise ValueError(f"{x + 1} is too small")
    x += max(x, 1)
    return x // 2 if x else -x
'''
WANTED = {
    "3 -> 4",
    "x < LIMIT -> x <= LIMIT",
    "x < LIMIT -> x > LIMIT",
    "x < LIMIT and (not y == 0) -> x < LIMIT or not y == 0",
    "not y == 0 -> y == 0",
    "y == 0 -> y != 0",
    "0 -> 1",
    "raise ValueError(f'{x + 1} is too small') -> pass",
    "x += max(x, 1) -> pass",
    "max(x, 1) -> min(x, 1)",
    "1 -> 2",
    "x // 2 if x else -x -> -x if x else x // 2",
    "x // 2 -> x * 2",
    "2 -> 3",
    "-x -> x",
}


def test_the_faults_of_a_file():
    found = mutants_of("a.py", SOURCE)
    assert {m.name.removeprefix("a.py: ") for m in found} == WANTED
    plain = ast.unparse(ast.parse(SOURCE))
    assert Mutant("a.py", 0, "", "").applied(SOURCE) == plain
    made = [m.applied(SOURCE) for m in found]
    assert len(set(made)) == len(made) and plain not in made
    for text in made:
        compile(text, "a.py", "exec")
        changed = set(text.splitlines()) ^ set(plain.splitlines())
        assert 1 <= len(changed) <= 2, changed


LOADED = (
    SOURCE
    + """
from contextlib import contextmanager
class A:
    size = 4
    @property
    def half(self):
        return [n // 2 for n in range(self.size)]
@contextmanager
def longer(x):
    yield x * 3
"""
)


def _results(module):
    found = []
    for x, y in ((1, 2), (1, 0), (5, 0), (0, None)):
        try:
            found.append(module["f"](x, y))
        except (TypeError, ValueError, ZeroDivisionError) as error:
            found.append(type(error))
    with module["longer"](7) as value:
        return [*found, module["A"]().half, value]


def test_a_fault_in_a_function_is_exchanged_where_it_is_loaded(tmp_path):
    """Every function then computes what a module does that is loaded with the fault."""
    file = tmp_path / "loaded.py"
    plain: dict[str, object] = {}
    exec(compile(LOADED, str(file), "exec", dont_inherit=True), plain)
    found, kept = functions(file), [f.__code__ for f in functions(file)]
    assert len(found) == 3
    others = 0
    for mutant in mutants_of(str(file), LOADED):
        codes = exchanged(mutant, LOADED)
        if codes is None:  # of the module or the class itself
            others += 1
            continue
        wanted: dict[str, object] = {}
        exec(compile(mutant.applied(LOADED), "", "exec", dont_inherit=True), wanted)
        put(codes, found)
        assert _results(plain) == _results(wanted), mutant.name
        put(dict(zip([f.__code__ for f in found], kept, strict=True)), found)
    assert others == 2


@pytest.mark.parametrize("file", TARGETS)
def test_what_is_mutated_and_what_tests_it_is_there(file):
    assert (ROOT / file).is_file() and all((ROOT / test).is_file() for test in TARGETS[file])
    names = {m.name for m in mutants_of(file, (ROOT / file).read_text())}
    assert len(names) > 2
    assert {name for name in WHY if name.startswith(f"{file}:")} <= names, "of code that is gone"


def test_figures_count_what_was_tried():
    first, second, third = mutants_of(next(iter(TARGETS)), SOURCE)[:3]
    figures, page = _figures([(first, "killed"), (second, "survived"), (third, "timeout")], 15)
    assert (figures["killed"], figures["survived, without"]) == (2, 1)
    assert second.name in page and "**open**" in page


def test_branches_are_summed_by_room():
    summary = {"num_branches": 4, "covered_branches": 3, "num_statements": 9, "covered_lines": 9}
    file = {"summary": summary, "missing_branches": [[3, 5]]}
    report = {"files": {"netx_export/spec/a.py": file, "netx_export/lazy.py": file}}
    figures, page = coverage._figures(report)
    assert figures["branches taken, %"] == 75.0 and figures["lines reached, %"] == 100.0
    assert figures["branches not taken"]["netx_export/lazy.py"] == ["3 to 5"]
    assert "| `netx_export/spec` | 4 | 75.0 |" in page and "| all | 8 | 75.0 |" in page
