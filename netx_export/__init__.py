"""What an integer network is, what it computes exactly, and how it lies in a NetX file.

Training, running fast, Lava and the chip are :mod:`lava_mlsnn`, which stands on this
package; six of its names are handed on here, since users expect them beside the file.
Importing this package needs neither torch, Lava nor h5py: each name is loaded
when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netx_export.lazy import lazy

if TYPE_CHECKING:
    from lava_mlsnn.export import export_model as export_model
    from lava_mlsnn.export import to_spec as to_spec
    from lava_mlsnn.lava.network import Network as Network
    from lava_mlsnn.lava.run import LavaResult as LavaResult
    from lava_mlsnn.lava.run import run_lava as run_lava
    from lava_mlsnn.lava.session import lava_available as lava_available
    from netx_export.file.reader import read as read
    from netx_export.file.schema import FORMAT as FORMAT
    from netx_export.file.schema import FORMAT_VERSION as FORMAT_VERSION
    from netx_export.file.stock import stock_reasons as stock_reasons
    from netx_export.file.writer import write as write
    from netx_export.file.writer import write_layer as write_layer
    from netx_export.interchange.int8 import export_onnx_int8 as export_onnx_int8
    from netx_export.interchange.nir import export_nir as export_nir
    from netx_export.interchange.nir_read import import_nir as import_nir
    from netx_export.interchange.onnx import export_onnx as export_onnx
    from netx_export.interchange.qonnx import export_qonnx as export_qonnx
    from netx_export.spec import Conv as Conv
    from netx_export.spec import ConvTranspose as ConvTranspose
    from netx_export.spec import Dense as Dense
    from netx_export.spec import Flatten as Flatten
    from netx_export.spec import Identity as Identity
    from netx_export.spec import Input as Input
    from netx_export.spec import MultiLevel as MultiLevel
    from netx_export.spec import NetworkSpec as NetworkSpec
    from netx_export.spec import Population as Population
    from netx_export.spec import Readout as Readout
    from netx_export.spec import StockNeuron as StockNeuron
    from netx_export.spec.ranges import LayerRange as LayerRange
    from netx_export.spec.ranges import check_ranges as check_ranges
    from netx_export.spec.ranges import worst_case as worst_case
    from netx_export.spec.timing import delays as delays
    from netx_export.spec.timing import depths as depths
    from netx_export.spec.timing import latency as latency

_HOMES = {
    "FORMAT": "netx_export.file.schema",
    "FORMAT_VERSION": "netx_export.file.schema",
    "Conv": "netx_export.spec",
    "ConvTranspose": "netx_export.spec",
    "Dense": "netx_export.spec",
    "Flatten": "netx_export.spec",
    "Identity": "netx_export.spec",
    "Input": "netx_export.spec",
    "LavaResult": "lava_mlsnn.lava.run",  # handed on: the loader needs Lava
    "LayerRange": "netx_export.spec.ranges",
    "MultiLevel": "netx_export.spec",
    "Network": "lava_mlsnn.lava.network",  # handed on
    "NetworkSpec": "netx_export.spec",
    "Population": "netx_export.spec",
    "Readout": "netx_export.spec",
    "StockNeuron": "netx_export.spec",
    "check_ranges": "netx_export.spec.ranges",
    "delays": "netx_export.spec.timing",
    "depths": "netx_export.spec.timing",
    "export_model": "lava_mlsnn.export",
    "export_nir": "netx_export.interchange.nir",
    "export_onnx": "netx_export.interchange.onnx",
    "export_onnx_int8": "netx_export.interchange.int8",
    "export_qonnx": "netx_export.interchange.qonnx",
    "import_nir": "netx_export.interchange.nir_read",
    "latency": "netx_export.spec.timing",
    "lava_available": "lava_mlsnn.lava.session",  # handed on
    "read": "netx_export.file.reader",
    "run_lava": "lava_mlsnn.lava.run",  # handed on
    "stock_reasons": "netx_export.file.stock",
    "to_spec": "lava_mlsnn.export",
    "worst_case": "netx_export.spec.ranges",
    "write": "netx_export.file.writer",
    "write_layer": "netx_export.file.writer",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(__name__, _HOMES)
