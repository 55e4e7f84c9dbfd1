"""Options: fields of a record, each with its default, range and help in one line.

    epochs: int = option(40, whole(1, LARGEST), "Passes over the training data.")

From that line come the check of every value, the attribute in the record's docstring, the
option on the command line (:mod:`lava_mlsnn.cli.fields`) and its row in docs/
(``tools/option_tables.py``). Free of torch, so that help is fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, field, fields
from inspect import cleandoc
from typing import Any, TypeVar

from lava_mlsnn.checks import check_flag, check_number, check_whole
from lava_mlsnn.choices import check_choice
from lava_mlsnn.errors import ConfigError

__all__ = ["Kind", "Option", "Options", "choice", "flag", "number", "option", "options_of", "whole"]

GUARD = 1_000_000  # limits from here on guard the arithmetic: no one needs to read them
T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """Which values an option takes.

    Attributes
    ----------
    type : type
        What the command line reads, and what is stored: a checkpoint cannot hold NumPy's.
    check : callable
        Of name and value: the value to store, or a ConfigError.
    range : str
        In few signs, for the help.
    """

    type: type
    check: Callable[[str, Any], Any]
    range: str = ""


def _range(low: float, high: float, above: bool = False, below: bool = False) -> str:
    least = "" if low <= -GUARD else f"{low:g}{'<' if above else '<='}x"
    if high < GUARD:
        return f"{least or 'x'}{'<' if below else '<='}{high:g}"
    return least and f"x{'>' if above else '>='}{low:g}"


def whole(low: int, high: int) -> Kind:
    """Whole numbers of ``low..high``."""
    return Kind(int, lambda name, value: check_whole(name, value, low, high), _range(low, high))


def number(
    low: float, high: float, above: bool = False, below: bool = False, optional: bool = False
) -> Kind:
    """Numbers of ``low..high``; ``above`` and ``below`` leave the ends out.

    With ``optional`` also None.
    """

    def check(name: str, value: Any) -> float | None:
        if optional and value is None:
            return None
        found = check_number(name, value, low, high, above)
        if below and found == high:
            raise ConfigError(
                f"{name} must be at least {low:g} and below {high:g}, got {found:.1f}"
            )
        return found

    return Kind(float, check, _range(low, high, above, below))


def choice(words: tuple[str, ...]) -> Kind:
    """One of some words."""
    return Kind(
        str, lambda name, value: check_choice(name, value, words), f"one of {', '.join(words)}"
    )


def flag(optional: bool = False) -> Kind:
    """True or False; with ``optional`` also None."""
    return Kind(bool, lambda name, v: v if optional and v is None else check_flag(name, v))


@dataclass(frozen=True)
class Option:
    """What a field says beside its name and default."""

    kind: Kind
    help: str
    flags: tuple[str, ...]
    cli: bool


def option(default: T, kind: Kind, help: str, *flags: str, cli: bool = True) -> T:
    """A field of :class:`Options`.

    Parameters
    ----------
    default
        What holds where nothing is said.
    kind : Kind
        :func:`whole`, :func:`number`, :func:`choice` or :func:`flag`.
    help : str
        A sentence.
    *flags : str
        On the command line, in place of ``--name``.
    cli : bool
        False for what the data says: not on the command line.
    """
    metadata = {"option": Option(kind, help, flags, cli)}
    return field(default=default, metadata=metadata)  # type: ignore[no-any-return]


class Options:
    """A frozen dataclass of :func:`option` fields; what cannot work is a ConfigError."""

    def __init_subclass__(cls) -> None:
        own = [
            (name, f.default, f.metadata["option"])
            for name, f in vars(cls).items()
            if isinstance(f, Field)
        ]
        rows = "".join(
            f"{name} : {o.kind.type.__name__}, default {default!r}"
            f"{o.kind.range and f' ({o.kind.range})'}\n    {o.help}\n"
            for name, default, o in own
        )
        cls.__doc__ = f"{cleandoc(cls.__doc__ or '')}\n\nAttributes\n----------\n{rows}"

    def __post_init__(self) -> None:
        for name, _, o in options_of(self):
            object.__setattr__(self, name, o.kind.check(name, getattr(self, name)))


def options_of(record: Any) -> Iterator[tuple[str, Any, Option]]:
    """Name, value (of a class: default) and the rest of every option, in their order."""
    for one in fields(record):
        yield one.name, getattr(record, one.name), one.metadata["option"]
