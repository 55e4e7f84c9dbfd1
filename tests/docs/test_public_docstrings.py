"""Every public function says what it takes and what it gives; the site's reference shows it."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
validate = pytest.importorskip("numpydoc.validate", reason="needs numpydoc (extra docs)").validate

# a parameter or result without a word, a word for a parameter that is none, no docstring
DEMANDED = {"GL08", "PR01", "PR02", "RT01"}


def public_packages() -> list[str]:
    """The keys of PUBLIC in docs/conf.py."""
    tree = ast.parse((ROOT / "docs/conf.py").read_text())
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PUBLIC"
    )
    return list(ast.literal_eval(table))


@pytest.mark.parametrize("package", public_packages())
def test_public_functions_say_parameters_and_results(package):
    try:
        module = importlib.import_module(package)
        offered = [getattr(module, name) for name in module.__all__]
    except ImportError:
        pytest.skip("needs Lava")
    said = [
        f"{f.__module__}.{f.__qualname__}: {message}"
        for f in offered
        if inspect.isfunction(f)
        for code, message in validate(f"{f.__module__}.{f.__qualname__}")["errors"]
        if code in DEMANDED
    ]
    assert not said, "\n".join(said)


@pytest.mark.parametrize("package", public_packages())
def test_every_public_name_has_a_docstring(package):
    try:
        module = importlib.import_module(package)
        offered = {name: getattr(module, name) for name in module.__all__}
    except ImportError:
        pytest.skip("needs Lava")
    assert not [n for n, o in offered.items() if callable(o) and not inspect.getdoc(o)]
