"""The integer network without Lava: whole datasets, batched, in NumPy."""

from lava_mlsnn.runner.encode import encode
from lava_mlsnn.runner.runner import IntegerRunner, Trace

__all__ = [
    "IntegerRunner",
    "Trace",
    "encode",
]
