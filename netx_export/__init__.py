"""Networks as data, their NetX files, and what runs them.

Importing this package needs neither torch, Lava nor h5py: each name is loaded
when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netx_export.graph import delays as delays
    from netx_export.graph import depths as depths
    from netx_export.graph import latency as latency
    from netx_export.handlers import export_model as export_model
    from netx_export.handlers import to_spec as to_spec
    from netx_export.network import Network as Network
    from netx_export.ranges import LayerRange as LayerRange
    from netx_export.ranges import check_ranges as check_ranges
    from netx_export.ranges import worst_case as worst_case
    from netx_export.reader import read as read
    from netx_export.run import LavaResult as LavaResult
    from netx_export.run import run_lava as run_lava
    from netx_export.schema import FORMAT as FORMAT
    from netx_export.schema import FORMAT_VERSION as FORMAT_VERSION
    from netx_export.session import lava_available as lava_available
    from netx_export.spec import Conv as Conv
    from netx_export.spec import Dense as Dense
    from netx_export.spec import Flatten as Flatten
    from netx_export.spec import Identity as Identity
    from netx_export.spec import Input as Input
    from netx_export.spec import MultiLevel as MultiLevel
    from netx_export.spec import NetworkSpec as NetworkSpec
    from netx_export.spec import Population as Population
    from netx_export.spec import Readout as Readout
    from netx_export.spec import StockNeuron as StockNeuron
    from netx_export.stock import stock_reasons as stock_reasons
    from netx_export.writer import write as write
    from netx_export.writer import write_layer as write_layer

_HOMES = {
    "FORMAT": "schema",
    "FORMAT_VERSION": "schema",
    "Conv": "spec",
    "Dense": "spec",
    "Flatten": "spec",
    "Identity": "spec",
    "Input": "spec",
    "LavaResult": "run",
    "LayerRange": "ranges",
    "MultiLevel": "spec",
    "Network": "network",
    "NetworkSpec": "spec",
    "Population": "spec",
    "Readout": "spec",
    "StockNeuron": "spec",
    "check_ranges": "ranges",
    "delays": "graph",
    "depths": "graph",
    "export_model": "handlers",
    "latency": "graph",
    "lava_available": "session",
    "read": "reader",
    "run_lava": "run",
    "stock_reasons": "stock",
    "to_spec": "handlers",
    "worst_case": "ranges",
    "write": "writer",
    "write_layer": "writer",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
