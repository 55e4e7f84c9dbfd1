"""All small faults of a file, in order: another operator, comparison, number, branch or call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Mutant", "mutants_of"]

BINARY: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv,),
    ast.FloorDiv: (ast.Mult,),
    ast.Div: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
COMPARE: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
CALLS = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "floor": "ceil",
         "any": "all", "all": "any", "floor_divide": "multiply"}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes
    ----------
    file : str
        Relative to the checkout.
    line : int
        Where it is.
    before, after : str
        The expression or statement.
    place : (int, int), optional
        Which node of the file, and which of its changes; None: no fault, for comparison.
    """

    file: str
    line: int
    before: str
    after: str
    place: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The same as long as the expression is, wherever it stands."""
        return f"{self.file}: {self.before} -> {self.after}"

    def tree(self, source: str) -> ast.Module:
        """The whole file with the fault; lines stay."""
        tree = ast.parse(source)
        if self.place is not None:
            node = list(_code(tree))[self.place[0]]
            new = ast.copy_location(list(_changes(node))[self.place[1]], node)
            _put(tree, node, new)
        return ast.fix_missing_locations(tree)

    def applied(self, source: str) -> str:
        """The whole file with the fault."""
        return ast.unparse(self.tree(source))


def mutants_of(file: str, source: str) -> list[Mutant]:
    """Every fault of a file; text, annotations and messages of errors are left alone."""
    found = []
    for number, node in enumerate(_code(ast.parse(source))):
        for index, after in enumerate(_changes(node)):
            before, what = ast.unparse(node)[:120], ast.unparse(after)[:120]
            found.append(Mutant(file, node.lineno, before, what, (number, index)))
    return found


def _code(tree: ast.AST) -> Iterator[Any]:
    """Nodes that can be changed, in the order of the file."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr | ast.ImportFrom | ast.Import | ast.arguments):
            continue
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield from _code(ast.Expr(node.value))
            continue
        if isinstance(node, ast.keyword) and node.arg == "strict":
            continue  # zip's own check of lengths that are the same
        if isinstance(node, ast.Raise):  # that it is raised matters, not what it says
            yield node
            continue
        yield node
        yield from _code(node)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.BinOp():
            for kind in BINARY.get(type(node.op), ()):
                yield ast.BinOp(node.left, kind(), node.right)
        case ast.Compare() if len(node.ops) == 1:
            for kind in COMPARE.get(type(node.ops[0]), ()):
                yield ast.Compare(node.left, [kind()], node.comparators)
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield ast.BoolOp(other, node.values)
        case ast.UnaryOp() if isinstance(node.op, ast.Not | ast.USub):
            yield node.operand
        case ast.Constant() if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        case ast.Constant() if isinstance(node.value, int):
            yield ast.Constant(node.value + 1)
        case ast.Call() if isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield ast.Call(ast.Name(CALLS[node.func.id], ast.Load()), node.args, node.keywords)
        case ast.Call() if isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
            func = ast.Attribute(node.func.value, CALLS[node.func.attr], ast.Load())
            yield ast.Call(func, node.args, node.keywords)
        case ast.Raise() | ast.AugAssign() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.IfExp():
            yield ast.IfExp(node.test, node.orelse, node.body)


def _put(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
                return
            if isinstance(value, list) and any(item is old for item in value):
                value[:] = [new if item is old else item for item in value]
                return
