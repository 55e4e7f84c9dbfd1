"""Synapses of a network for Loihi 2: Lava's own Processes.

Their neuro-core models are in the closed extension, under the same names as the public
Processes, so that nothing of ours stands between a file and the chip there. What they
lack is built from what they have:

* a convolution knows no delay: relays (one timestep each) stand before it;
* a one-to-one connection is a diagonal ``Sparse``, or ``DelaySparse`` with its delay;
* weights of both signs lose their lowest bit in 8-bit memory: odd ones move up by one
  bit, and ``weight_exp`` takes it back.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.proc.conv.process import Conv as StockConv
from lava.proc.dense.process import Dense as StockDense
from lava.proc.sparse.process import DelaySparse, Sparse
from scipy.sparse import diags

from lava_mlsnn.errors import RangeError, UnsupportedLayerError
from lava_mlsnn.lava.network.layout import kernel_to_lava, pair_to_lava, shape_to_lava
from lava_mlsnn.lava.network.synapses import SynapseContext
from lava_mlsnn.proc.readout.process import Readout as ReadoutProcess
from netx_export.spec import Conv, Dense, Identity, Synapse
from netx_export.spec.kinds import of_kind

__all__ = ["connect_synapse"]


def connect_synapse(
    synapse: Synapse,
    context: SynapseContext,
    sender: Any,
    a_in: Any,
    ucode: str | os.PathLike[str] | None,
) -> list[AbstractProcess]:
    """Build a synapse between two ports and return its Processes, in their order."""
    remedy = "run the network on the CPU, or train without it"
    build = of_kind(SYNAPSES, synapse, "the network on Loihi 2", remedy)
    return build(synapse, context, sender, a_in, ucode)


def even_weights(weight: np.ndarray) -> tuple[np.ndarray, int]:
    """Weights that 8-bit memory holds as they are, and how many bits they were moved up."""
    mixed = weight.min() < 0 < weight.max()
    if not mixed or not np.any(weight & 1):
        return weight, 0
    if weight.min() < -128 or weight.max() > 127:
        raise RangeError(
            "odd weights of both signs beyond -128..127 have no 8-bit form, got "
            f"{weight.min()}..{weight.max()}"
        )
    return weight << 1, 1


def _conv(
    synapse: Conv,
    context: SynapseContext,
    sender: Any,
    a_in: Any,
    ucode: str | os.PathLike[str] | None,
) -> list[AbstractProcess]:
    processes: list[AbstractProcess] = []
    shape = shape_to_lava(context.source_shape)
    bits = context.num_message_bits
    for place in range(context.delay):
        name = f"{context.name}.wait{place}"
        copy = Sparse(weights=_diagonal(np.ones(math.prod(shape))), num_message_bits=bits)
        relay = ReadoutProcess(
            shape,
            integrate=False,
            reset_interval=1,
            num_message_bits=max(8, bits),
            ucode=ucode,
            name=name,
        )
        sender.reshape(copy.s_in.shape).connect(copy.s_in)
        copy.a_out.reshape(shape).connect(relay.a_in)
        processes += [copy, relay]
        sender, bits = relay.s_out, max(8, bits)
    weight, moved = even_weights(synapse.weight)
    conv = StockConv(
        weight=kernel_to_lava(weight).copy(),
        weight_exp=synapse.weight_exp - moved,
        input_shape=shape,
        stride=pair_to_lava(synapse.stride),
        padding=pair_to_lava(synapse.padding),
        dilation=pair_to_lava(synapse.dilation),
        groups=synapse.groups,
        num_message_bits=bits,
        name=context.name,
    )
    sender.connect(conv.s_in)
    conv.a_out.connect(a_in)
    return [*processes, conv]


def _dense(
    synapse: Dense, context: SynapseContext, sender: Any, a_in: Any, ucode: object
) -> list[AbstractProcess]:
    if context.delay:
        raise UnsupportedLayerError(
            f"a dense synapse cannot wait on Loihi 2, this one needs {context.delay} timesteps; "
            "put a relay on it"
        )
    weight, moved = even_weights(synapse.weight)
    dense = StockDense(
        weights=weight,
        weight_exp=synapse.weight_exp - moved,
        num_message_bits=context.num_message_bits,
        name=context.name,
    )
    sender.connect(dense.s_in)
    dense.a_out.connect(a_in)
    return [dense]


def _identity(
    synapse: Identity, context: SynapseContext, sender: Any, a_in: Any, ucode: object
) -> list[AbstractProcess]:
    shape = shape_to_lava(context.source_shape)
    weight, moved = even_weights(synapse.weight)
    weights = _diagonal(np.broadcast_to(weight, shape).reshape(-1))
    options: dict[str, Any] = {
        "weights": weights,
        "weight_exp": synapse.weight_exp - moved,
        "num_message_bits": context.num_message_bits,
        "name": context.name,
    }
    if context.delay:
        delays = _diagonal(np.full(weights.shape[0], context.delay))
        copy: AbstractProcess = DelaySparse(delays=delays, **options)
    else:
        copy = Sparse(**options)
    sender.reshape(copy.s_in.shape).connect(copy.s_in)
    copy.a_out.reshape(shape).connect(a_in)
    return [copy]


SYNAPSES: dict[type, Callable[..., list[AbstractProcess]]] = {
    Conv: _conv,
    Dense: _dense,
    Identity: _identity,
}


def _diagonal(values: np.ndarray) -> Any:
    return diags(values.astype(int), dtype=int).tocsr()
