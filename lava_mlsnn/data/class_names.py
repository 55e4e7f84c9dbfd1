"""Class names: two sides that number them differently agree on what a number means."""

from __future__ import annotations

import sys
import unicodedata
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from lava_mlsnn.checks import meant
from lava_mlsnn.errors import DataError

__all__ = ["UNNAMED", "NamesWarning", "match_classes", "names_of", "warn_unnamed"]

UNNAMED = "has no class names, so that they cannot be compared: labels are taken by number"
FEW = 5  # names in a message


def match_classes(
    known: Sequence[str], given: Sequence[str], who: str = "the network"
) -> np.ndarray | None:
    """For each given class the number that the network has for it.

    Parameters
    ----------
    known, given : sequence of str
        Names in the network's order, and in the data's. Compared in Unicode's composed
        form, because file systems differ in it.
    who : str
        Whose names ``known`` are, for the message.

    Returns
    -------
    ndarray of int64, (len(given),), or None
        None where one side has no names.

    Raises
    ------
    DataError
        If they are not the same names.
    """
    if not len(known) or not len(given):
        return None
    first, second = ([unicodedata.normalize("NFC", n) for n in side] for side in (known, given))
    if first == second:
        return np.arange(len(first))
    if sorted(first) != sorted(second) or len(set(first)) < len(first):
        more, less = sorted({*second} - {*first}), sorted({*first} - {*second})
        raise DataError(
            f"classes must have the names that {who} was trained with; not known to it: "
            f"{_few(more)}; missing: {_few(less)}{_closest(more, less)}; rename the classes, or "
            "name other data"
        )
    return np.array([first.index(name) for name in second])


def names_of(model: Any) -> tuple[str, ...]:
    """Class names that a model carries (``model.class_names``); () if it has none."""
    inner = getattr(model, "module", model)  # inside DataParallel
    names = getattr(inner, "class_names", None)
    return () if names is None else tuple(map(str, names))


class NamesWarning(UserWarning):
    """Labels were taken by number, because one side has no names."""


def warn_unnamed(who: str) -> None:
    """Say that names cannot be compared, at the line outside of this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("lava_mlsnn."):
        level, frame = level + 1, frame.f_back
    warnings.warn(f"{who} {UNNAMED}", NamesWarning, stacklevel=level)


def _closest(more: list[str], less: list[str]) -> str:
    """What an unknown name may be a slip of."""
    close = meant(more[0], less) if more else ""
    return f" ({more[0]!r}{close})" if close else ""


def _few(names: list[str]) -> str:
    text = ", ".join(repr(name) for name in names[:FEW])
    return (text or "none") + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
