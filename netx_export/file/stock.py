"""What stock ``lava.lib.dl.netx.hdf5.Network`` (lava-dl 0.6.0) makes of a layer.

Stock Lava has one neuron that can stand in for ours: the CUBA LIF with all its
decays at 1 forgets u and v in every timestep, and so is the binary multi-level
neuron of T = 1::

    spike = ((a + bias) << 6) > (vThMant << 6)    with bias = b + V0, vThMant = vth - 1

Sources: ``lava.lib.dl.netx.hdf5``, ``lava.lib.dl.netx.utils.optimize_weight_bits``,
``lava.proc.lif.models``, ``lava.utils.weightutils`` (BSD-3-Clause, Intel).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from netx_export.errors import RangeError, UnsupportedLayerError
from netx_export.file import schema
from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)
from netx_export.spec.ranges import worst_case

__all__ = [
    "DEFAULT_NEURON",
    "cuba_fields",
    "dense_weight",
    "full_bias",
    "stock_reasons",
]

DECAY_ONE = 4096  # 12-bit decay of 1: nothing is kept
BIAS_LIMIT = 1 << 12  # 13 bits signed
VTH_LIMIT = 1 << 17
SUM_LIMIT = 1 << 17  # stock shifts by 6 inside 24 bits

# a dense layer without neuron group; hdf5.py writes the threshold as 1 << 18 - 1
DEFAULT_NEURON: dict[str, Any] = {
    schema.I_DECAY: 0,
    schema.V_DECAY: 4096,
    schema.VTH_MANT: 1 << 17,
    schema.REF_DELAY: 1,
    schema.GRADED_SPIKE: False,
}


def dense_weight(weight: np.ndarray) -> tuple[np.ndarray, int]:
    """The dense weights that stock Lava computes with, and their exponent.

    Stock clips, moves the weights up to the top of 8 bits, drops the bits that it
    takes for unused, and shifts the sum back down.

    Parameters
    ----------
    weight : ndarray of int, (O, I)
        As in the file.

    Returns
    -------
    weight, weight_exp : ndarray of int32, int
        ``(weight @ s)`` shifted by ``weight_exp`` is the stock activation.
        The exponent is 0 whenever the shift cancels exactly.

    Raises
    ------
    UnsupportedLayerError
        If stock fails on these weights (all are 0, among others).
    RangeError
        If weights of one sign leave 8 bits, which stock shifts by a negative number.
    """
    weight = weight.astype(np.int64)
    high, low = int(weight.max()), int(weight.min())
    if high == 0 and low == 0:
        raise UnsupportedLayerError("stock Lava cannot load a dense layer whose weights are all 0")
    if (high > 254 and low < 0) or (low < -256 and high > 0):
        weight = weight.clip(-256, 254)
        high, low = int(weight.max()), int(weight.min())
    mixed = high >= 0 and low < 0
    if mixed:
        scale = min(127 / high if high else math.inf, -128 / low)
    else:
        scale = 255 / high if low >= 0 else -256 / low
    up = math.floor(math.log2(scale)) + int(mixed)
    if up < 0:
        raise RangeError(f"dense weights of one sign must fit 8 bits, got {low}..{high}")
    unused = 8
    while unused > 0 and np.any(weight % (1 << unused)):
        unused -= 1
    shifted = weight << up
    # from here on Lava's own idea of the sign decides: a largest weight of 0 is not mixed
    negative = low < 0 and high <= 0
    bits = up + unused - int(mixed) + int(low < 0 < high)
    if bits < 0:
        raise UnsupportedLayerError(
            f"stock Lava cannot run a dense layer with odd weights in {low}..0 and none above 0"
        )
    magnitude = -shifted if negative else shifted
    magnitude = magnitude.clip(-256 if low < 0 < high else 0, 255)
    magnitude = (magnitude >> bits) << bits
    used = -magnitude if negative else magnitude
    if up and not np.any(used % (1 << up)):
        used, up = used >> up, 0
    return used.astype(np.int32), -up


def full_bias(layer: Population) -> np.ndarray:
    """Bias plus V0, one value per channel, int64."""
    bias = np.zeros(layer.shape[0], np.int64)
    if layer.bias is not None:
        bias += layer.bias
    return bias + layer.neuron.start(1)


def cuba_fields(neuron: Any) -> dict[str, Any]:
    """The stock neuron group that stands in for a multi-level neuron or readout."""
    top = VTH_LIMIT - 1  # a readout never spikes
    vth = int(neuron.vth[0]) - 1 if isinstance(neuron, MultiLevel) else top
    return {
        schema.TYPE: "CUBA",
        schema.I_DECAY: DECAY_ONE,
        schema.V_DECAY: DECAY_ONE,
        schema.VTH_MANT: vth,
        schema.REF_DELAY: 1,
        schema.GRADED_SPIKE: False,
    }


def stock_reasons(spec: NetworkSpec) -> list[str]:
    """Why stock ``lava.lib.dl.netx.hdf5.Network`` cannot run this network; empty if it can.

    A graded input needs ``input_message_bits`` from the caller, and the result of a
    readout is its ``v >> 6``: no file can say either.

    Parameters
    ----------
    spec : NetworkSpec
        The network.

    Returns
    -------
    list of str
        A sentence each.
    """
    reasons = list(_network_reasons(spec))
    sums = {r.index: r for r in worst_case(spec)}
    for index, layer in spec.populations:
        found = list(_population_reasons(layer, index == len(spec.layers) - 1))
        if layer.neuron.exact:
            low, high = sums[index].accumulator
            bias = full_bias(layer)
            worst = max(-low, high, -(low + int(bias.min())), high + int(bias.max()))
            if worst >= SUM_LIMIT:
                found.append(f"its sum can reach {worst}, stock holds {SUM_LIMIT - 1}")
        reasons.extend(f"{spec.label(index)}: {reason}" for reason in found)
    return reasons


def _network_reasons(spec: NetworkSpec) -> Iterator[str]:
    own = any(p.neuron.exact for _, p in spec.populations)
    if own and spec.timesteps != 1:
        yield f"stock neurons cannot reset by subtraction, and T is {spec.timesteps}, not 1"
    for index, layer in enumerate(spec.layers[1:], 1):
        if layer.sources != (index - 1,):
            yield f"{spec.label(index)}: stock reads each layer from the one before it only"
        elif isinstance(layer, Flatten) and len(spec.layers[layer.source].shape) == 1:
            yield f"{spec.label(index)}: stock cannot flatten what is flat"


def _population_reasons(layer: Population, last: bool) -> Iterator[str]:
    neuron, synapse = layer.neuron, layer.synapses[0]
    if not isinstance(synapse, Conv | Dense):
        yield f"stock has no {synapse.kind} synapse"
    elif synapse.weight_exp != 0:
        yield f"stock has no weight exponent, and it is {synapse.weight_exp}"
    elif isinstance(synapse, Dense):
        try:
            used, exponent = dense_weight(synapse.weight)
        except (RangeError, UnsupportedLayerError) as error:
            yield error.message
        else:
            if exponent or not np.array_equal(used, synapse.weight):
                yield "stock would compute with other weights"
    if not neuron.exact:
        return
    if np.any(np.abs(full_bias(layer)) >= BIAS_LIMIT):
        yield f"bias plus V0 must stay below {BIAS_LIMIT} in stock"
    if not isinstance(neuron, MultiLevel):
        if not isinstance(neuron, Readout):
            yield f"stock has no {neuron.text} neuron"
        elif not last:
            yield "in stock only the last layer can go without spikes"
        return
    if neuron.levels != 1:
        yield f"stock spikes are binary, and levels is {neuron.levels}"
    if np.any(neuron.vth != neuron.vth[0]):
        yield "stock has one threshold a layer"
    if int(neuron.vth.max()) > VTH_LIMIT:
        yield f"vth must be at most {VTH_LIMIT} in stock, got {int(neuron.vth.max())}"
