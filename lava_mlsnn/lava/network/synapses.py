"""Which Lava Process stands for which synapse: one function a type, one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.proc.conv.process import Conv as StockConv
from lava.proc.dense.process import Dense as StockDense

from lava_mlsnn.errors import RangeError
from lava_mlsnn.lava.network.layout import kernel_to_lava, pair_to_lava, shape_to_lava
from lava_mlsnn.proc.conv.process import Conv as ConvProcess
from lava_mlsnn.proc.conv.transposed import ConvTranspose as ConvTransposeProcess
from lava_mlsnn.proc.dense.process import Dense as DenseProcess
from lava_mlsnn.proc.identity.process import Identity as IdentityProcess
from netx_export.spec import Conv, ConvTranspose, Dense, Identity, Shape, Synapse
from netx_export.spec.kinds import of_kind
from netx_export.spec.widths import check_weights

__all__ = ["SYNAPSES", "SynapseContext", "build_synapse"]


# A tuple, not a dataclass: Lava executes every module of this folder a second time
# under a name that it does not register, where the dataclass decorator fails.
class SynapseContext(NamedTuple):
    """What a synapse needs to know about its place."""

    source_shape: Shape  # (C, H, W) or (F,)
    num_message_bits: int  # of its source
    delay: int
    stock: bool  # it feeds a neuron of lava-dl
    name: str


def _conv(synapse: Conv, context: SynapseContext) -> AbstractProcess:
    arguments: dict[str, Any] = {
        "weight": kernel_to_lava(synapse.weight),
        "input_shape": shape_to_lava(context.source_shape),
        "stride": pair_to_lava(synapse.stride),
        "padding": pair_to_lava(synapse.padding),
        "dilation": pair_to_lava(synapse.dilation),
        "groups": synapse.groups,
        "num_message_bits": context.num_message_bits,
        "name": context.name,
    }
    if context.stock and not _fits(synapse.weight) and not (context.delay or synapse.weight_exp):
        # Stock Lava runs such kernels unclipped; ours would refuse them.
        return StockConv(**arguments)
    return ConvProcess(weight_exp=synapse.weight_exp, delay=context.delay, **arguments)


def _conv_transpose(synapse: ConvTranspose, context: SynapseContext) -> AbstractProcess:
    return ConvTransposeProcess(
        weight=synapse.weight.transpose(0, 3, 2, 1),
        input_shape=shape_to_lava(context.source_shape),
        weight_exp=synapse.weight_exp,
        stride=pair_to_lava(synapse.stride),
        padding=pair_to_lava(synapse.padding),
        output_padding=pair_to_lava(synapse.output_padding),
        dilation=pair_to_lava(synapse.dilation),
        groups=synapse.groups,
        num_message_bits=context.num_message_bits,
        delay=context.delay,
        name=context.name,
    )


def _dense(synapse: Dense, context: SynapseContext) -> AbstractProcess:
    if context.stock and not context.delay:
        weights, shift = _left_justified(synapse.weight)
        return StockDense(
            weights=weights,
            weight_exp=synapse.weight_exp - shift,
            num_message_bits=context.num_message_bits,
            name=context.name,
        )
    return DenseProcess(
        weights=synapse.weight,
        weight_exp=synapse.weight_exp,
        num_message_bits=context.num_message_bits,
        delay=context.delay,
        name=context.name,
    )


def _identity(synapse: Identity, context: SynapseContext) -> AbstractProcess:
    return IdentityProcess(
        shape=shape_to_lava(context.source_shape),
        weight=synapse.weight,
        weight_exp=synapse.weight_exp,
        num_message_bits=context.num_message_bits,
        delay=context.delay,
        name=context.name,
    )


def _fits(weight: np.ndarray) -> bool:
    try:
        check_weights(weight)
    except RangeError:
        return False
    return True


def _left_justified(weight: np.ndarray) -> tuple[np.ndarray, int]:
    """Weights moved up to the top of 8 bits, and by how many bits.

    The stock dense Process drops the lowest bit of mixed-sign weights; lava-dl's
    loader avoids the loss by this shift and its inverse in ``weight_exp``.
    """
    low, high = int(weight.min()), int(weight.max())
    shift = 0
    while (high or low) and shift < 7 and high << shift + 1 <= 254 and low << shift + 1 >= -256:
        shift += 1
    return weight << shift, shift


SYNAPSES: dict[type, Callable[[Any, SynapseContext], AbstractProcess]] = {
    Conv: _conv,
    ConvTranspose: _conv_transpose,
    Dense: _dense,
    Identity: _identity,
}


def build_synapse(synapse: Synapse, context: SynapseContext) -> AbstractProcess:
    """Return the Lava Process of a synapse, with ports ``s_in`` and ``a_out``."""
    return of_kind(SYNAPSES, synapse, "the Lava network")(synapse, context)
