"""Runs a program for many neurons at once, and counts what each executes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.loihi2.program.instructions import Instruction, Operand, Program
from netx_export.spec.widths import shift, wrap24

__all__ = ["Execution", "execute"]


@dataclass(frozen=True)
class Execution:
    """What a timestep gave.

    Attributes
    ----------
    registers : dict of str to ndarray of int64
        Every register at the end.
    payload : ndarray of int64
        What each neuron sent; 0 where it sent nothing.
    sent : ndarray of bool
        Where a message left.
    executed : ndarray of int64
        Instructions that each neuron executed.
    """

    registers: dict[str, np.ndarray]
    payload: np.ndarray
    sent: np.ndarray
    executed: np.ndarray


def execute(program: Program, inputs: Mapping[str, Any]) -> Execution:
    """Run one timestep.

    Parameters
    ----------
    program : Program
        What to run.
    inputs : mapping of str to int or ndarray of int
        A value for each of ``program.inputs``; they broadcast against each other. Values
        wrap to 24 bits.

    Returns
    -------
    Execution
        Registers at the end, and what each neuron sent.
    """
    missing = [name for name in program.inputs if name not in inputs]
    if missing:
        raise ConfigError(f"{program.name} needs the inputs {', '.join(missing)}")
    given = [np.asarray(inputs[name], np.int64) for name in program.inputs]
    shape = np.broadcast_shapes(*(g.shape for g in given))
    file = {
        name: np.array(wrap24(np.broadcast_to(g, shape)))
        for name, g in zip(program.inputs, given, strict=True)
    }
    for name in program.registers:
        file.setdefault(name, np.zeros(shape, np.int64))
    state = _State(file, np.zeros(shape, np.int64), shape)
    for place, step in enumerate(program.code):
        active = state.resume <= place
        state.executed += active
        _step(step, place, active, state, program.constants)
    return Execution(file, state.payload, state.sent, state.executed)


class _State:
    def __init__(
        self, file: dict[str, np.ndarray], resume: np.ndarray, shape: tuple[int, ...]
    ) -> None:
        self.file = file
        self.resume = resume  # the place at which a neuron goes on
        self.order = np.zeros(shape, np.int64)  # sign of a - b of the last compare
        self.payload = np.zeros(shape, np.int64)
        self.sent = np.zeros(shape, bool)
        self.executed = np.zeros(shape, np.int64)


def _step(
    step: Instruction,
    place: int,
    active: np.ndarray,
    state: _State,
    constants: Mapping[str, int],
) -> None:
    def value(operand: Operand) -> Any:
        if isinstance(operand, int):
            return operand
        return constants[operand] if operand in constants else state.file[operand]

    a, b = value(step.a), value(step.b)
    if step.op == "compare":
        state.order = np.where(active, np.sign(np.subtract(a, b)), state.order)
    elif step.op == "skip":
        fits = {
            "lt": state.order < 0,
            "ge": state.order >= 0,
            "eq": state.order == 0,
            "ne": state.order != 0,
        }[step.condition]
        state.resume = np.where(active & fits, place + 1 + step.k, state.resume)
    elif step.op == "emit":
        state.payload = np.where(active, a, state.payload)
        state.sent = state.sent | active
    else:
        result = {
            "move": lambda: a,
            "add": lambda: np.add(a, b),
            "sub": lambda: np.subtract(a, b),
            "shift": lambda: shift(np.asarray(a), step.k),
            "mulshift": lambda: np.asarray(np.multiply(a, b)) >> step.k,
            "min": lambda: np.minimum(a, b),
        }[step.op]()
        new = wrap24(np.asarray(result, np.int64))
        state.file[step.target][...] = np.where(active, new, state.file[step.target])
