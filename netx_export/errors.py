"""The errors of lava_mlsnn and netx_export, all under one base class.

Every message is one sentence that says what was expected, what came, where
(file, layer, field) and what to do. Low-level code raises the short form; the
border that knows the place adds it with :func:`at`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "CalibrationError",
    "ConfigError",
    "DataError",
    "FormatError",
    "MLSNNError",
    "MissingError",
    "ParityError",
    "RangeError",
    "RunError",
    "UnsupportedLayerError",
    "at",
    "said",
]


class MLSNNError(Exception):
    """Base class: ``except MLSNNError`` catches every error a user can cause.

    Parameters
    ----------
    message : str
        One sentence without its place.
    where : str
        The place, outermost first, such as ``"demo.net, layer 3 (conv2), weight"``.
    """

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message, where)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ConfigError(MLSNNError, ValueError):
    """An argument or option has a value that cannot work."""


class DataError(MLSNNError):
    """A dataset or sample is missing, unreadable or of the wrong shape."""


class FormatError(MLSNNError):
    """A network file is not what the schema says."""


class RangeError(MLSNNError):
    """An integer leaves the width that the hardware gives it."""


class CalibrationError(MLSNNError):
    """A model has no statistics yet from which integers could be derived."""


class UnsupportedLayerError(MLSNNError):
    """A layer, neuron or module has no exact counterpart on the other side."""


class MissingError(MLSNNError, ModuleNotFoundError):
    """A package that this name needs is not installed; ``try: import`` takes it too."""


class ParityError(MLSNNError):
    """Two runs of the same network gave different integers."""


class RunError(MLSNNError):
    """A Lava run could not start, stopped early, or lost a process."""


@contextmanager
def at(place: str) -> Iterator[None]:
    """Put ``place`` in front of the place of any project error raised inside.

    Parameters
    ----------
    place : str
        Layer, field or file.
    """
    try:
        yield
    except MLSNNError as error:
        error.where = f"{place}, {error.where}" if error.where else place
        raise


def said(error: BaseException, most: int = 200) -> str:
    """What another library's error says, as one plain line: it may quote a damaged file.

    Parameters
    ----------
    error : BaseException
        Any.
    most : int
        Characters.

    Returns
    -------
    str
        Its class, where it says nothing.
    """
    text = " ".join(str(error).split())
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return plain[:most] or type(error).__name__


for _name in __all__[:-2]:  # printed and pickled under the address that users catch them by
    globals()[_name].__module__ = "lava_mlsnn.errors"
