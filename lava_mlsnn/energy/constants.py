"""Energies and widths that the model multiplies counts with, each with its source."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from lava_mlsnn.checks import check_number, shown
from lava_mlsnn.errors import ConfigError
from netx_export.file.atomic import as_path

__all__ = ["Constant", "Constants", "read_constants"]

HOROWITZ = "Horowitz, ISSCC 2014, 45 nm, 0.9 V"
LARGEST = 1e12  # of an entry: products with counts stay far within floating point
LEMAIRE = "Lemaire et al., arXiv:2210.13107, from Horowitz's caches of 8, 32 and 1000 kB"


@dataclass(frozen=True)
class Constant:
    """A number with its unit, and where it comes from."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Constants:
    """The table; every entry can be replaced.

    Energies of widths between the entries are those of the next wider one. A memory of
    n words costs ``sram_slope * n * bits + sram_offset`` pJ an access, read or write.

    Attributes
    ----------
    add_8, add_32, mul_8, mul_32 : Constant
        Integer addition and multiplication, pJ.
    sram_slope, sram_offset : Constant
        Of an access, pJ per bit of the memory, and pJ.
    queue_words : Constant
        Messages that a population's queue holds.
    weight_bits, sum_bits, activation_bits, index_bits : Constant
        Widths: weights; potentials, biases and sums; activations of the dense ANN;
        addresses that are computed.
    """

    add_8: Constant = Constant(0.03, "pJ", HOROWITZ)
    add_32: Constant = Constant(0.1, "pJ", HOROWITZ)
    mul_8: Constant = Constant(0.2, "pJ", HOROWITZ)
    mul_32: Constant = Constant(3.1, "pJ", HOROWITZ)
    sram_slope: Constant = Constant(1.09e-5, "pJ/bit", LEMAIRE)
    sram_offset: Constant = Constant(13.2, "pJ", LEMAIRE)
    queue_words: Constant = Constant(1000, "words", "LEAT's setting, second-hand")
    weight_bits: Constant = Constant(8, "bit", "the file format")
    sum_bits: Constant = Constant(24, "bit", "the file format")
    activation_bits: Constant = Constant(8, "bit", "ours: an int8 network")
    index_bits: Constant = Constant(32, "bit", "LEAT's setting, second-hand")

    def __post_init__(self) -> None:
        for field in fields(self):
            constant = getattr(self, field.name)
            if not isinstance(constant, Constant):
                unit = getattr(type(self), field.name).unit  # the default's
                constant = Constant(constant, unit, "given by the user")
                object.__setattr__(self, field.name, constant)
            low, high = (1, 32) if field.name.endswith("_bits") else (0, LARGEST)
            check_number(field.name, constant.value, low, high)

    def replaced(self, values: dict[str, Any], source: str = "given by the user") -> Constants:
        """With other entries.

        Parameters
        ----------
        values : dict
            Name to a number, or to a dict with ``value`` and, if wanted, ``source``.
        source : str
            Of entries that are only a number.

        Raises
        ------
        ConfigError
            For an unknown name, or a value that is no fitting number.
        """
        if not isinstance(values, dict):
            raise ConfigError(f"constants must be a dict of names to numbers, got {shown(values)}")
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        unknown = [name for name in values if name not in known]
        if unknown:
            raise ConfigError(f"constants are {', '.join(known)}; got the unknown {shown(unknown)}")
        changed = {}
        for name, entry in values.items():
            content = entry if isinstance(entry, dict) else {"value": entry}
            if set(content) - {"value", "unit", "source"} or "value" not in content:
                raise ConfigError(f"{name} must be a number or have a value, got {shown(entry)}")
            unit = known[name].unit
            if content.get("unit", unit) != unit:
                raise ConfigError(f"{name} must be in {unit}, got {shown(content['unit'])}")
            changed[name] = Constant(content["value"], unit, str(content.get("source", source)))
        return replace(self, **changed)

    # -- energies, pJ -----------------------------------------------------------
    def add(self, bits: float) -> float:
        """An addition of this width."""
        return (self.add_8 if bits <= 8 else self.add_32).value

    def mul(self, bits: float) -> float:
        """A multiplication whose wider operand has this width."""
        return (self.mul_8 if bits <= 8 else self.mul_32).value

    def mul_small(self, bits: float, other: float) -> float:
        """A multiplier of ``bits`` x ``other``: the square one's part by area (ours)."""
        wide, narrow = max(bits, other), min(bits, other)
        square = 8 if wide <= 8 else 32
        return self.mul(wide) * min(1.0, wide * narrow / square**2)

    def access(self, words: float, bits: float) -> float:
        """A read or write in a memory of ``words`` words of ``bits`` bits."""
        return self.sram_slope.value * words * bits + self.sram_offset.value

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """JSON-able; :func:`read_constants` reads it."""
        return {f.name: vars(getattr(self, f.name)).copy() for f in fields(self)}


def read_constants(path: Path) -> Constants:
    """Constants from a JSON file of some or all names.

    Parameters
    ----------
    path : Path
        An object of numbers, in the units of :class:`Constants`.

    Returns
    -------
    Constants
        The usual ones where the file is silent.

    Raises
    ------
    ConfigError
        If the file is missing or no such JSON; names the file.
    """
    try:
        content = json.loads(as_path(path).read_text(encoding="utf-8"))
    except ConfigError:
        raise
    except (OSError, RecursionError, ValueError) as error:  # ValueError: no JSON, or no text
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"constants cannot be read ({reason})", str(path)) from None
    if not isinstance(content, dict):
        raise ConfigError(
            f"constants must be a JSON object, got {type(content).__name__}", str(path)
        )
    try:
        return Constants().replaced(content, source=str(path))
    except ConfigError as error:
        error.where = str(path)
        raise
