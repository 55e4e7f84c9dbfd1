"""Where imports stand: at the top of a file, unless they would bring something large along."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lava_mlsnn", "netx_export")
LARGE = {"torch", "lava", "h5py", "matplotlib", "sklearn", "PIL", "rich", "typer", "jinja2"}
LARGE |= {"torchvision", "tonic", "neurobench", "multiprocessing"}
LATE = {
    "lava_mlsnn.backends": "a row loads what it runs, a list of their names none of it",
    "lava_mlsnn.cli": "Ctrl-C is handled before anything else is imported",
    "lava_mlsnn.cli.app": "a command loads what it runs, help loads none of them",
}
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imports(node: ast.AST, where: str = "top"):
    """(where, statement) of every import below a node: at the top, for types, in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield where, child
            continue
        inside = where
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = "function"
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            inside = "types"
        yield from imports(child, inside)


IMPORTS = {module: list(imports(ast.parse(path.read_text()))) for module, path in FILES.items()}


def home(module: str, name: str) -> set[str]:
    """Modules that ``from module import name`` loads; a lazy face says them for type checkers."""
    if f"{module}.{name}" in FILES:
        return {f"{module}.{name}"}
    found = {module}
    for where, statement in IMPORTS.get(module, ()):
        if where == "function" or not isinstance(statement, ast.ImportFrom):
            continue
        if name in {alias.asname or alias.name for alias in statement.names}:
            found |= home(str(statement.module), name)
    return found


def loads(statement: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(statement, ast.Import):
        return {alias.name for alias in statement.names}
    return set().union(*(home(str(statement.module), alias.name) for alias in statement.names))


def large(modules: set[str]) -> set[str]:
    """What of :data:`LARGE` is loaded with some modules."""
    seen: set[str] = set()
    todo = set(modules)
    while todo:
        module = todo.pop()
        seen.add(module)
        more = {module.rpartition(".")[0]} if module.partition(".")[0] in PACKAGES else set()
        for where, statement in IMPORTS.get(module, ()):
            more |= loads(statement) if where == "top" else set()
        todo |= more - seen
    return {module.partition(".")[0] for module in seen} & LARGE


def test_imports_inside_functions_and_for_types_keep_something_large_out():
    needless = [
        f"{FILES[module].relative_to(ROOT)}:{statement.lineno}: {ast.unparse(statement)}"
        for module, found in IMPORTS.items()
        if module not in LATE
        for where, statement in found
        if where == "function" or (where == "types" and FILES[module].name != "__init__.py")
        if not large(loads(statement)) - large({module})
    ]
    assert needless == []
    assert sum(len(found) for found in IMPORTS.values()) > 1000


def test_netx_export_needs_numpy_and_h5py_alone():
    modules = [module for module in FILES if module.startswith("netx_export.")]  # not the face
    needed = {name for m in modules for _, statement in IMPORTS[m] for name in loads(statement)}
    tops = {name.partition(".")[0] for name in needed} - set(sys.stdlib_module_names)
    assert tops == {"netx_export", "numpy", "h5py"}


def test_folders_that_lava_looks_into_load_no_torch():
    looked = [m for m in FILES if m.startswith(("lava_mlsnn.proc.", "lava_mlsnn.lava.network."))]
    folders = [m for m in looked if m.count(".") > 2]  # the files between them hold no Process
    assert len(folders) > 20
    assert [m for m in folders if "torch" in large({m})] == []


def test_no_file_imports_one_that_imports_it():
    grimp = pytest.importorskip("grimp")
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)  # imports for types included
    assert len(graph.modules) > 200
    below = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(below).prepare()  # CycleError names the circle
