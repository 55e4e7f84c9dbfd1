"""Where a kind must be known: one table, and one way to refuse what is not in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from netx_export.errors import UnsupportedLayerError

__all__ = ["of_kind"]

Entry = TypeVar("Entry")


def of_kind(table: Mapping[type, Entry], thing: Any, who: str, remedy: str = "") -> Entry:
    """The entry for the kind of a synapse or neuron.

    Raises
    ------
    UnsupportedLayerError
        ``"<who> has no <kind>, it has <kinds>; <remedy>"``.
    """
    if type(thing) not in table:
        known = ", ".join(kind.__name__ for kind in table)
        advice = f"; {remedy}" if remedy else ""
        raise UnsupportedLayerError(f"{who} has no {type(thing).__name__}, it has {known}{advice}")
    return table[type(thing)]
