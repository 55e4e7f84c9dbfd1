"""Lava Processes, one folder each, laid out as ``lava.proc`` is.

Lava imports every module next to a Process when it looks for ProcessModels, so
these folders hold nothing that needs torch. Names are loaded when asked for:
``from lava_mlsnn.proc import MultiLevelIF`` imports Lava, this package does not.
"""

from typing import TYPE_CHECKING, Any

from lava_mlsnn.checks import need_lava
from netx_export.lazy import lazy

if TYPE_CHECKING:
    from lava_mlsnn.proc.conv.process import Conv as Conv
    from lava_mlsnn.proc.conv.transposed import ConvTranspose as ConvTranspose
    from lava_mlsnn.proc.dense.process import Dense as Dense
    from lava_mlsnn.proc.identity.process import Identity as Identity
    from lava_mlsnn.proc.mlif.process import MultiLevelIF as MultiLevelIF
    from lava_mlsnn.proc.readout.process import Readout as Readout
    from lava_mlsnn.proc.stream.process import Record as Record
    from lava_mlsnn.proc.stream.process import Stream as Stream

_HOMES = {
    "Conv": ".conv.process",
    "ConvTranspose": ".conv.transposed",
    "Dense": ".dense.process",
    "Identity": ".identity.process",
    "MultiLevelIF": ".mlif.process",
    "Readout": ".readout.process",
    "Record": ".stream.process",
    "Stream": ".stream.process",
}

__all__ = sorted(_HOMES)

_load, __dir__ = lazy(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        need_lava(f"the Process {name}")
    return _load(name)
