"""From the file's order (C, H, W) to Lava's (W, H, C), and what crosses a port."""

from __future__ import annotations

import numpy as np

from lava_mlsnn.integer.kernels import Pair
from lava_mlsnn.neuron.step import message_bits
from netx_export.spec import Flatten, Input, NetworkSpec, Population, Shape, StockNeuron

__all__ = ["kernel_to_lava", "pair_to_lava", "sent_bits", "shape_to_lava", "stock_scalar"]


def shape_to_lava(shape: Shape) -> Shape:
    """(C, H, W) to (W, H, C); a flat shape stays."""
    return shape[::-1]


def pair_to_lava(pair: Pair) -> Pair:
    """(H, W) to (W, H)."""
    return pair[1], pair[0]


def kernel_to_lava(weight: np.ndarray) -> np.ndarray:
    """(O, I, kH, kW) of a cross-correlation to Lava's (O, kW, kH, I), flipped.

    Lava convolves (flips the kernel), torch correlates, so the flip cancels.
    """
    return weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)


def sent_bits(spec: NetworkSpec, index: int) -> int:
    """Width of the payload that a layer sends: 0 (binary), 8, 16 or 24 bits."""
    layer = spec.layers[index]
    if isinstance(layer, Flatten):
        return sent_bits(spec, layer.source)
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
