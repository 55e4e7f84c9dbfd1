"""From trained models to a :class:`netx_export.NetworkSpec`: what their forward computes.

A block says what it is by a method ``layers(builder, name, *sources)``, which adds its
layers to a :class:`Builder` and returns the index of the last.
"""

from lava_mlsnn.export.builder import Builder
from lava_mlsnn.export.export import connections, export_block, export_model, to_spec, walk
from lava_mlsnn.export.graph import Graph, Node
from lava_mlsnn.export.tracer import inner, trace

__all__ = [
    "Builder",
    "Graph",
    "Node",
    "connections",
    "export_block",
    "export_model",
    "inner",
    "to_spec",
    "trace",
    "walk",
]
