"""Which values every register of a program can take: interval arithmetic along its paths.

A skip goes forward only, so one pass in order visits every path. Both sides of a skip
know what the compare before it said: on the way where ``v >= c`` held, v - c is at
least 0. Where paths meet, intervals are joined. An interval beyond 24 bits means that
a register can wrap there.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lava_mlsnn.errors import RangeError
from lava_mlsnn.loihi2.program.instructions import Instruction, Operand, Program
from netx_export.spec.widths import STATE_MAX, STATE_MIN

__all__ = ["Proof", "prove"]

Interval = tuple[int, int]
Env = dict[str, Interval]


@dataclass(frozen=True)
class Proof:
    """Ranges of a program.

    Attributes
    ----------
    registers : dict of str to (int, int)
        Everything that a register can hold at any place.
    final : dict of str to (int, int)
        The same at the end.
    payload : (int, int)
        What is sent; (0, 0) if nothing ever is.
    wraps : tuple of int
        Places of instructions whose result may leave 24 bits.
    """

    registers: dict[str, Interval]
    final: dict[str, Interval]
    payload: Interval
    wraps: tuple[int, ...]

    @property
    def safe(self) -> bool:
        """Whether nothing can wrap."""
        return not self.wraps


def _join(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), max(a[1], b[1])


def _join_env(a: Env | None, b: Env) -> Env:
    if a is None:
        return dict(b)
    return {name: _join(a.get(name, b[name]), b[name]) for name in b} | {
        name: a[name] for name in a if name not in b
    }


def _interval(program: Program, name: str, bound: Any) -> Interval:
    try:
        low, high = bound
        return operator.index(low), operator.index(high)
    except (TypeError, ValueError):
        raise RangeError(
            f"{program.name}: the bound of {name!r} must be two whole numbers, got {bound!r}"
        ) from None


def prove(program: Program, bounds: Mapping[str, Interval]) -> Proof:
    """Ranges of every register for inputs within ``bounds``.

    Parameters
    ----------
    program : Program
        Which.
    bounds : mapping of str to Interval
        Of each of ``program.inputs``, within 24 bits.

    Returns
    -------
    Proof
        What each register can hold, and where a result may leave 24 bits.

    Raises
    ------
    RangeError
        If an input has no bound, or one beyond 24 bits.
    """
    start: Env = {}
    for name in program.inputs:
        if name not in bounds:
            raise RangeError(f"{program.name}: the input {name!r} needs a bound")
        low, high = _interval(program, name, bounds[name])
        if not STATE_MIN <= low <= high <= STATE_MAX:
            raise RangeError(f"{program.name}: {name} must fit 24 bits, got {low}..{high}")
        start[name] = (low, high)
    for name in program.registers:
        start.setdefault(name, (0, 0))
    at: list[Env | None] = [None] * (len(program) + 1)
    at[0] = start
    seen = dict(start)
    compared: list[tuple[Operand, Operand] | None] = [None] * (len(program) + 1)
    sent: Interval | None = None
    wraps: list[int] = []
    for place, step in enumerate(program.code):
        env = at[place]
        if env is None:
            continue

        def interval(operand: Operand, env: Env = env) -> Interval:
            if isinstance(operand, int):
                return operand, operand
            constant = program.constants.get(operand)
            return env[operand] if constant is None else (constant, constant)

        following = dict(env)
        pair = compared[place]
        if step.op == "compare":
            pair = (step.a, step.b)
        elif step.op == "skip":
            assert pair is not None
            taken = _refined(env, pair, step.condition, interval)
            if taken is not None:
                _reach(at, compared, place + 1 + step.k, taken, pair)
            stayed = _refined(env, pair, _opposite(step.condition), interval)
            if stayed is not None:
                _reach(at, compared, place + 1, stayed, pair)
            continue
        elif step.op == "emit":
            value = interval(step.a)
            sent = value if sent is None else _join(sent, value)
        else:
            low, high = _result(step, interval(step.a), interval(step.b))
            if low < STATE_MIN or high > STATE_MAX:
                wraps.append(place)
                low, high = STATE_MIN, STATE_MAX
            following[step.target] = (low, high)
            seen[step.target] = _join(seen[step.target], (low, high))
            if pair is not None and step.target in pair:
                pair = None  # what was compared has changed
        _reach(at, compared, place + 1, following, pair)
    final = at[len(program)]
    assert final is not None
    return Proof(seen, final, sent or (0, 0), tuple(wraps))


def _reach(
    at: list[Env | None],
    compared: list[tuple[Operand, Operand] | None],
    place: int,
    env: Env,
    pair: tuple[Operand, Operand] | None,
) -> None:
    compared[place] = pair if at[place] is None or compared[place] == pair else None
    at[place] = _join_env(at[place], env)


def _opposite(condition: str) -> str:
    return {"lt": "ge", "ge": "lt", "eq": "ne", "ne": "eq"}[condition]


def _refined(
    env: Env, pair: tuple[Operand, Operand], condition: str, interval: object
) -> Env | None:
    """The environment where the condition holds for the compared pair; None if it cannot."""
    a, b = pair
    (al, ah), (bl, bh) = interval(a), interval(b)  # type: ignore[operator]
    if condition == "lt":
        na, nb = (al, min(ah, bh - 1)), (max(bl, al + 1), bh)
    elif condition == "ge":
        na, nb = (max(al, bl), ah), (bl, min(bh, ah))
    elif condition == "eq":
        na = nb = (max(al, bl), min(ah, bh))
    else:
        na, nb = (al, ah), (bl, bh)
        if bl == bh:  # cut the value off where it is an end
            na = (al + (al == bl), ah - (ah == bl))
    if na[0] > na[1] or nb[0] > nb[1]:
        return None
    new = dict(env)
    for operand, found in ((a, na), (b, nb)):
        if isinstance(operand, str) and operand in env:
            new[operand] = found
    return new


def _result(step: Instruction, a: Interval, b: Interval) -> Interval:
    if step.op == "move":
        return a
    if step.op == "add":
        return a[0] + b[0], a[1] + b[1]
    if step.op == "sub":
        return a[0] - b[1], a[1] - b[0]
    if step.op == "min":
        return min(a[0], b[0]), min(a[1], b[1])
    if step.op == "shift":
        return (
            (a[0] << step.k, a[1] << step.k) if step.k >= 0 else (a[0] >> -step.k, a[1] >> -step.k)
        )
    products = [x * y for x in a for y in b]
    return min(products) >> step.k, max(products) >> step.k
