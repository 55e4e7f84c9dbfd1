"""Neuron programs over a small set of generic integer operations.

What a neuro-core does in one timestep for one neuron, without anybody's assembler:

========  =====================  ==============================================
op        operands               effect
========  =====================  ==============================================
move      target, a              target = a
add       target, a, b           target = a + b
sub       target, a, b           target = a - b
shift     target, a, k           target = floor(a * 2**k); k is part of the code
mulshift  target, a, b, k        target = floor(a * b / 2**k), k likewise
min       target, a, b           target = min(a, b)
compare   a, b                   remember the order of a and b
skip      condition, n           leave out n instructions if the order fits
emit      a                      send a as the neuron's payload
========  =====================  ==============================================

Registers are 24-bit signed and wrap, products have as many bits as they need.
An operand is the name of a register or group constant, or a number. There is no
division and no jump back, so a program ends after at most its length. Ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lava_mlsnn.errors import ConfigError

__all__ = ["CONDITIONS", "Instruction", "Operand", "Program"]

Operand = str | int

SHAPES: dict[str, tuple[str, ...]] = {
    "move": ("target", "a"),
    "add": ("target", "a", "b"),
    "sub": ("target", "a", "b"),
    "shift": ("target", "a", "k"),
    "mulshift": ("target", "a", "b", "k"),
    "min": ("target", "a", "b"),
    "compare": ("a", "b"),
    "skip": ("condition", "k"),
    "emit": ("a",),
}
CONDITIONS = ("lt", "ge", "eq", "ne")  # of the last compare: a < b, a >= b, a == b, a != b


@dataclass(frozen=True)
class Instruction:
    """One operation; unused fields are empty."""

    op: str
    target: str = ""
    a: Operand = 0
    b: Operand = 0
    k: int = 0
    condition: str = ""
    note: str = ""  # what it is for

    def __post_init__(self) -> None:
        if self.op not in SHAPES:
            raise ConfigError(f"op must be one of {', '.join(SHAPES)}, got {self.op!r}")
        if self.op == "skip" and self.condition not in CONDITIONS:
            raise ConfigError(f"condition must be one of {CONDITIONS}, got {self.condition!r}")

    def __str__(self) -> str:
        shown = [str(getattr(self, name)) for name in SHAPES[self.op]]
        line = f"{self.op:9}" + ", ".join(shown)
        return f"{line:32}; {self.note}" if self.note else line


@dataclass(frozen=True)
class Program:
    """A neuron's timestep.

    Attributes
    ----------
    name : str
        What the file of the program is called.
    code : tuple of Instruction
        In order.
    inputs : tuple of str
        Registers that hold something before: state, the sum of the synapses ``a``, and
        per-neuron parameters.
    state : tuple of str
        Inputs that are kept for the next timestep.
    constants : dict of str to int
        Values shared by a group of neurons, 24-bit signed.
    """

    name: str
    code: tuple[Instruction, ...]
    inputs: tuple[str, ...]
    state: tuple[str, ...] = ()
    constants: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {*self.inputs, *self.constants}
        if not set(self.state) <= set(self.inputs):
            raise ConfigError(f"state must be among the inputs {self.inputs}, got {self.state}")
        for place, step in enumerate(self.code):
            for operand in (step.a, step.b):
                if isinstance(operand, str) and operand not in known:
                    raise ConfigError(f"instruction {place} reads {operand!r} before it is written")
            if step.target in self.constants:
                raise ConfigError(f"instruction {place} writes the group constant {step.target!r}")
            if step.op == "skip" and place + 1 + step.k > len(self.code):
                raise ConfigError(f"instruction {place} skips beyond the end")
            if step.target:
                known.add(step.target)

    def __len__(self) -> int:
        return len(self.code)

    @property
    def registers(self) -> tuple[str, ...]:
        """Registers that are alive in a timestep: the inputs, then what is written."""
        written = dict.fromkeys(step.target for step in self.code if step.target)
        return tuple(dict.fromkeys((*self.inputs, *written)))

    def listing(self) -> str:
        """The program as text."""
        head = [
            f"; {self.name}",
            f"; inputs     {', '.join(self.inputs)}",
            f"; kept       {', '.join(self.state) or 'nothing'}",
            f"; constants  {', '.join(f'{k} = {v}' for k, v in self.constants.items()) or 'none'}",
        ]
        return "\n".join([*head, *(f"{i:3}  {step}" for i, step in enumerate(self.code))]) + "\n"
