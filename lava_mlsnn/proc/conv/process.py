"""Convolution as a Lava Process, with the arguments and Vars of ``lava.proc.conv.Conv``."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.process import LogConfig
from lava.magma.core.process.variable import Var

from lava_mlsnn.checks import check_whole, shown
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.proc.base import positive_shape
from lava_mlsnn.proc.synapse import Synapse, weight_array
from netx_export.spec.kernels import Pair, conv_output_size
from netx_export.spec.limits import MAX_NEURONS

LARGE = 1 << 20  # products in a timestep from which 8-bit arithmetic pays


class Conv(Synapse):
    """Convolution of payloads in Lava's layout, one timestep of latency.

    Layout and orientation are those of ``lava.proc.conv.Conv``: input (W, H, C),
    weight (C_out, kW, kH, C_in / groups), pairs in (W, H) order, and a true
    convolution (the kernel is flipped). It differs where the stock Process is
    not a Loihi 2 synapse: ``weight_exp`` works, weights are checked against 8
    bits, and one matrix product replaces a Python loop over channel pairs. ``a_buf`` has
    one axis more, for the delay.

    Parameters
    ----------
    weight : ndarray, (C_out, kW, kH, C_in / groups)
        Integers are checked at once, floats when a fixed-point model is chosen.
    weight_exp : int, optional
        The sum is shifted left by this; negative: floor.
    input_shape : (int, int, int)
        (W, H, C).
    stride, padding, dilation : int or (int, int), optional
        In (W, H) order.
    groups : int, optional
    num_weight_bits : int, optional
        1..8: weights that need more bits are refused.
    num_message_bits : int, optional
        0: the input is cast to bool, as in stock Lava.
    delay : int, optional
        Extra timesteps of latency, 0..62.
    name, log_config : optional
        As in every Lava Process.

    Attributes
    ----------
    stride, padding, dilation, kernel_size : Var, (2,)
    groups, num_weight_bits : Var, (1,)
        What the Process was built with; to be read.

    Raises
    ------
    ConfigError, RangeError
        On an argument that cannot work.
    """

    def __init__(
        self,
        *,
        weight: Any,
        input_shape: tuple[int, int, int],
        weight_exp: int = 0,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        num_weight_bits: int = 8,
        num_message_bits: int = 0,
        delay: int = 0,
        name: str | None = None,
        log_config: LogConfig | None = None,
    ) -> None:
        weight = weight_array("weight", weight, 4)
        input_shape = positive_shape(input_shape)  # type: ignore[assignment]
        if len(input_shape) != 3:
            raise ConfigError(f"input_shape must be (W, H, C), got {input_shape}")
        geometry = {
            "stride": _pair("stride", stride, 1),
            "padding": _pair("padding", padding, 0),
            "dilation": _pair("dilation", dilation, 1),
        }
        channels = weight.shape[0], input_shape[2]
        if (
            not isinstance(groups, int | np.integer)
            or groups < 1
            or any(c % groups for c in channels)
        ):
            raise ConfigError(
                f"groups must divide the {channels[1]} input and {channels[0]} output channels, "
                f"got {groups!r}"
            )
        if weight.shape[3] * groups != input_shape[2]:
            raise ConfigError(
                f"weight expects {weight.shape[3] * groups} input channels, but input_shape has "
                f"{input_shape[2]}"
            )
        size = conv_output_size(input_shape[:2], weight.shape[1:3], **geometry)
        if min(size) < 1:
            raise ConfigError(
                f"a kernel of {weight.shape[1:3]} does not fit an input of {input_shape[:2]}"
            )
        super().__init__(
            weight_name="weight",
            weight=weight,
            weight_exp=weight_exp,
            num_weight_bits=num_weight_bits,
            num_message_bits=num_message_bits,
            delay=delay,
            input_shape=input_shape,
            output_shape=(*size, weight.shape[0]),
            groups=int(groups),
            large=size[0] * size[1] * weight.size >= LARGE,
            name=name,
            log_config=log_config,
            **geometry,
        )
        for key, pair in (("kernel_size", weight.shape[1:3]), *geometry.items()):
            setattr(self, key, Var(shape=(2,), init=pair))
        self.groups = Var(shape=(1,), init=int(groups))
        self.num_weight_bits = Var(shape=(1,), init=num_weight_bits)

    def check_fixed(self) -> None:
        """See :class:`CheckedProcess`."""
        super().check_fixed()
        if self.proc_params["large"]:  # once here instead of in every forked process
            from lava_mlsnn.proc.torch_conv import warm_up

            warm_up()


def _pair(name: str, value: Any, low: int) -> Pair:
    try:
        pair = (value, value) if np.isscalar(value) else tuple(value)
        first, second = (check_whole(name, n, low, MAX_NEURONS) for n in pair)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{name} must be one or two whole numbers of at least {low}, got {shown(value)}"
        ) from None
    return first, second
