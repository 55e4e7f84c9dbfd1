"""Small checks of arguments, each one sentence; free of torch, so that help is fast."""

from __future__ import annotations

import importlib.util
import os
import reprlib
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

from lava_mlsnn.errors import ConfigError, DataError, MissingError
from netx_export.spec.limits import memory

__all__ = [
    "check_flag",
    "check_memory",
    "check_number",
    "check_threads",
    "check_whole",
    "lava_available",
    "lava_needs",
    "meant",
    "need_lava",
    "shown",
]

BRIEF = reprlib.Repr()  # a list in lists, each twice, would take for ever in full
BRIEF.maxlevel = 4
BRIEF.maxlist = BRIEF.maxtuple = BRIEF.maxdict = BRIEF.maxset = 20
BRIEF.maxstring = BRIEF.maxlong = BRIEF.maxother = 200


def shown(value: Any) -> str:
    """The value on one line, cut where it is long."""
    try:
        text = " ".join(BRIEF.repr(value).split())
    except ValueError:  # Python does not print integers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def meant(value: Any, words: Iterable[str]) -> str:
    """``"; did you mean x?"`` where a word is close to the value, else nothing.

    Parameters
    ----------
    value : object
        What was given in place of one of the words.
    words : iterable of str
        What may be given.

    Returns
    -------
    str
        The end of a message.
    """
    by_case = {word.lower(): word for word in words}
    word = value[:100].lower() if isinstance(value, str) else ""  # others may print for ever
    near = get_close_matches(word, by_case, 1) if word else []
    return f"; did you mean {by_case[near[0]]}?" if near else ""


def check_whole(name: str, value: Any, low: int, high: int) -> int:
    """The value as an int; ConfigError unless it is a whole number in ``low..high``."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        raise ConfigError(
            f"{name} must be a whole number of at least {low} and at most {high}, "
            f"got {shown(value)}"
        )
    return int(value)


def check_number(name: str, value: Any, low: float, high: float, above: bool = False) -> float:
    """The value as a float; ConfigError unless it is a number in ``low..high``.

    ``above`` leaves ``low`` itself out. Not a number lies nowhere.
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not (low < value if above else low <= value) or not value <= high:
        raise ConfigError(
            f"{name} must be a number {'above' if above else 'of at least'} {low:g} and at most "
            f"{high:g}, got {shown(value)}"
        )
    return float(value)


def check_flag(name: str, value: Any) -> bool:
    """The value; ConfigError unless it is True or False."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, got {shown(value)}")
    return value


def check_threads(value: Any) -> int:
    """Threads of torch, 0 for its own number; OpenMP ends the process where there are too many."""
    return check_whole("threads", value, 0, max(64, 4 * (os.cpu_count() or 1)))


def check_memory(what: str, needed: int) -> None:
    """DataError, before anything is allocated, if so many bytes are more than the machine has."""
    there = memory()
    if needed > there:
        raise DataError(
            f"{what} need {needed / 1e9:,.0f} GB of memory, this machine has {there / 1e9:,.0f} GB"
        )


def lava_available() -> bool:
    """Whether the Lava simulator is installed here and can be imported; nothing of it is.

    Returns
    -------
    bool
        Of this Python.
    """
    return not lava_needs()


def lava_needs() -> str:
    """What the Lava simulator needs and this Python has not; empty where Lava can be imported.

    Returns
    -------
    str
        What follows "needs" in a sentence.
    """
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    if not (importlib.util.find_spec("lava") and importlib.util.find_spec("lava.magma")):
        return f"Python 3.10 with lava-nc 0.10.0 installed, and this is {python} without it"
    if sys.version_info >= (3, 11) and "lava_mlsnn.lava_compat" not in sys.modules:
        return (
            "'import lava_mlsnn.lava_compat' before it, or LAVA_MLSNN_COMPAT=1 in the "
            f"environment, since this is {python}"
        )
    return ""


def need_lava(what: str) -> None:
    """MissingError, which is an ImportError, where Lava is not installed or cannot be imported."""
    if needs := lava_needs():
        error = MissingError(f"{what} needs {needs}")
        error.name = "lava"
        raise error
