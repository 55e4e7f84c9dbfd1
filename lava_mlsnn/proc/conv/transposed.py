"""Transposed convolution as a Lava Process, with its CPU ProcessModels."""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.process import LogConfig
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.errors import ConfigError, FormatError
from lava_mlsnn.proc.base import positive_shape
from lava_mlsnn.proc.synapse import Synapse, weight_array
from lava_mlsnn.proc.synapse_model import (
    AbstractPySynapseFixed,
    AbstractPySynapseFloat,
    largest_row_sum,
)
from netx_export.spec import ConvTranspose as ConvTransposeSpec
from netx_export.spec.kernels import Pair
from netx_export.spec.synapses.conv_transpose import spread, swapped


class ConvTranspose(Synapse):
    """Transposed convolution of payloads in Lava's layout, one timestep of latency.

    ``a_out[x * stride - padding + k * dilation] += weight[k] * s_in[x]`` along each axis,
    the kernel not flipped. Lava has no such Process; layout and order are those of
    :class:`lava_mlsnn.proc.Conv`, with the channels of the weight exchanged.

    Parameters
    ----------
    weight : ndarray, (C_in, kW, kH, C_out / groups)
        Integers are checked at once, floats when a fixed-point model is chosen.
    input_shape : (int, int, int)
        (W, H, C).
    stride, padding, output_padding, dilation : int or (int, int), optional
        In (W, H) order.
    weight_exp, groups, num_message_bits, delay, name, log_config : optional
        As for :class:`lava_mlsnn.proc.Conv`.

    Raises
    ------
    ConfigError, RangeError
        On an argument that cannot work.
    """

    def __init__(
        self,
        *,
        weight: Any,
        input_shape: tuple[int, ...],
        weight_exp: int = 0,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        num_message_bits: int = 0,
        delay: int = 0,
        name: str | None = None,
        log_config: LogConfig | None = None,
    ) -> None:
        weight = weight_array("weight", weight, 4)
        input_shape = positive_shape(input_shape)
        if len(input_shape) != 3:
            raise ConfigError(f"input_shape must be (W, H, C), got {input_shape}")
        window = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "output_padding": output_padding,
        }
        pairs: Any = {name: (n, n) if np.isscalar(n) else n for name, n in window.items()}
        try:  # its width is the first axis here, which changes no sum
            turned = np.zeros(_turned(weight).shape, np.int32)
            synapse = ConvTransposeSpec(0, turned, groups=groups, **pairs)
            channels, *size = synapse.output_shape((input_shape[2], *input_shape[:2]))
            synapse.check_padding((input_shape[2], *input_shape[:2]))
        except FormatError as error:
            raise ConfigError(error.message) from None
        super().__init__(
            weight_name="weight",
            weight=weight,
            weight_exp=weight_exp,
            num_message_bits=num_message_bits,
            delay=delay,
            input_shape=input_shape,
            output_shape=(*size, channels),
            geometry=synapse.geometry,
            name=name,
            log_config=log_config,
        )


def _turned(weight: np.ndarray) -> np.ndarray:
    """(C_in, kW, kH, C_out / groups) to (C_in, C_out / groups, kW, kH)."""
    return weight.transpose(0, 3, 1, 2)


def _spread(
    proc_params: Any, s: np.ndarray, weight: np.ndarray, dtype: type[np.floating]
) -> np.ndarray:
    out = spread(s.transpose(2, 0, 1)[None], _turned(weight), proc_params["geometry"], dtype)
    return out[0].transpose(1, 2, 0)


@implements(proc=ConvTranspose, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyConvTransposeFloat(AbstractPySynapseFloat):
    """Transposed convolution in floating point."""

    weight: np.ndarray = LavaPyType(np.ndarray, float)

    def weighted_sum(self, s: np.ndarray) -> np.ndarray:
        """float64 sums."""
        return _spread(self.proc_params, s, self.weight, np.float64)


@implements(proc=ConvTranspose, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyConvTransposeFixed(AbstractPySynapseFixed):
    """Transposed convolution in exact integers."""

    weight: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)

    def prepare(self) -> int:
        """See :class:`AbstractPySynapseFixed`."""
        return largest_row_sum(swapped(_turned(self.weight), self.proc_params["geometry"].groups))

    def weighted_sum(self, s: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
        """See :class:`AbstractPySynapseFixed`."""
        return _spread(self.proc_params, s, self.weight, dtype)
