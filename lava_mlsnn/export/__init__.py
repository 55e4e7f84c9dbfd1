"""From trained models to a :class:`netx_export.NetworkSpec`: what their forward computes.

A block says what it is by a method ``layers(builder, name, source)``, which adds its
layers to a :class:`Builder` and returns the index of the last.
"""

from lava_mlsnn.export.export import (
    connections,
    export_block,
    export_model,
    scale_losses,
    to_spec,
    walk,
    warn_losses,
)
from lava_mlsnn.export.forward import trace
from lava_mlsnn.export.graph import Graph, Node
from lava_mlsnn.export.modules import inner
from netx_export.builder import Builder, ScaleLoss

__all__ = [
    "Builder",
    "Graph",
    "Node",
    "ScaleLoss",
    "connections",
    "export_block",
    "export_model",
    "inner",
    "scale_losses",
    "to_spec",
    "trace",
    "walk",
    "warn_losses",
]
