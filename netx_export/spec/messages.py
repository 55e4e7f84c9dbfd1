"""What crosses from layer to layer: the width of each payload."""

from __future__ import annotations

import numpy as np

from netx_export.spec.layers import Flatten, Input, Population
from netx_export.spec.network import NetworkSpec
from netx_export.spec.neurons import StockNeuron
from netx_export.spec.step import message_bits

__all__ = ["sent_bits", "stock_scalar"]


def sent_bits(spec: NetworkSpec, index: int) -> int:
    """Width of the payload that a layer sends: 0 (binary), 8, 16 or 24 bits."""
    layer = spec.layers[index]
    while isinstance(layer, Flatten):
        layer = spec.layers[layer.source]
    neuron = layer.neuron
    if isinstance(neuron, StockNeuron):
        if "messageBits" in neuron.params:
            return stock_scalar(neuron, "messageBits")
        return 0 if neuron.payload == (0, 1) else 16  # the defaults of lava-dl's loader
    if isinstance(layer, Input):
        return message_bits(layer.levels) or (8 if layer.signed else 0)
    assert isinstance(layer, Population)
    return layer.num_message_bits


def stock_scalar(neuron: StockNeuron, key: str) -> int:
    """Return a number of a stock neuron's group; files hold it as a scalar or as (1,)."""
    return int(np.ravel(np.asarray(neuron.params[key]))[0])
