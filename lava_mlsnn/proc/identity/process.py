"""One-to-one connection with a gain per channel as a Lava Process."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.process import LogConfig

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.proc.base import positive_shape
from lava_mlsnn.proc.synapse import Synapse, weight_array


class Identity(Synapse):
    """``a_out[..., c] = weight[c] * s_in[..., c]``, one timestep of latency.

    The shortcut of a residual block: with ``delay`` it waits until the other arm
    of the addition has arrived.

    Parameters
    ----------
    shape : tuple of int
        Any shape with the channels last.
    weight : ndarray, (C,)
        Gain per channel. Integers are checked at once, floats when a fixed-point
        model is chosen.
    weight_exp : int, optional
        The product is shifted left by this; negative: floor.
    num_message_bits : int, optional
        0: the input is cast to bool, as in stock Lava.
    delay : int, optional
        Extra timesteps of latency, 0..62.
    name, log_config : optional
        As in every Lava Process.

    Raises
    ------
    ConfigError, RangeError
        On an argument that cannot work.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        weight: Any,
        weight_exp: int = 0,
        num_message_bits: int = 0,
        delay: int = 0,
        name: str | None = None,
        log_config: LogConfig | None = None,
    ) -> None:
        weight = weight_array("weight", weight, 1)
        shape = positive_shape(shape)
        if weight.shape[0] != shape[-1]:
            raise ConfigError(
                f"weight must have one gain per channel ({shape[-1]}), got {weight.shape[0]}"
            )
        super().__init__(
            weight_name="weight",
            weight=weight,
            weight_exp=weight_exp,
            num_message_bits=num_message_bits,
            delay=delay,
            input_shape=shape,
            output_shape=shape,
            name=name,
            log_config=log_config,
        )
