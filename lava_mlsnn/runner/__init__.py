"""The integer network without Lava: whole datasets, batched, in NumPy."""

from lava_mlsnn.runner.runner import IntegerRunner
from lava_mlsnn.trace import Trace
from netx_export.spec.encode import encode

__all__ = [
    "IntegerRunner",
    "Trace",
    "encode",
]
