"""Lava Processes, one folder each, laid out as ``lava.proc`` is.

Lava imports every module next to a Process when it looks for ProcessModels, so
these folders hold nothing that needs torch. Names are loaded when asked for:
``from lava_mlsnn.proc import MultiLevelIF`` imports Lava, this package does not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lava_mlsnn.proc.conv.process import Conv
    from lava_mlsnn.proc.dense.process import Dense
    from lava_mlsnn.proc.identity.process import Identity
    from lava_mlsnn.proc.mlif.process import MultiLevelIF
    from lava_mlsnn.proc.readout.process import Readout
    from lava_mlsnn.proc.stream.process import Record, Stream

__all__ = ["Conv", "Dense", "Identity", "MultiLevelIF", "Readout", "Record", "Stream"]

_HOMES = {
    "Conv": "conv",
    "Dense": "dense",
    "Identity": "identity",
    "MultiLevelIF": "mlif",
    "Readout": "readout",
    "Record": "stream",
    "Stream": "stream",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"lava_mlsnn.proc.{_HOMES[name]}.process"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
