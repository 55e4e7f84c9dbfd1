"""All-to-all connection as a Lava Process, with the arguments of ``lava.proc.dense.Dense``."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.process import LogConfig
from lava.utils.weightutils import SignMode

from lava_mlsnn.proc.synapse import Synapse, weight_array


class Dense(Synapse):
    """``a_out = weights @ s_in``, one timestep of latency.

    It differs from ``lava.proc.dense.Dense`` where that is not what the weights
    say: mixed-sign odd weights keep their value (the stock Process makes
    [3, -5] act as [2, -6]), nothing is clipped or cut off but refused, the sum wraps
    at 24 bits as the stock convolution does, and there is a delay. Its Var ``a_buff`` is
    ``a_buf`` here, as in the stock convolution.

    Parameters
    ----------
    weights : ndarray, (F_out, F_in)
        Integers are checked at once, floats when a fixed-point model is chosen.
    weight_exp : int, optional
        The sum is shifted left by this; negative: floor.
    num_weight_bits : int, optional
        1..8: weights that stock Lava would cut to so many bits are refused.
    sign_mode : SignMode, optional
        Weights that are not of this sign are refused; default: the sign that they have.
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
        weights: Any,
        weight_exp: int = 0,
        num_weight_bits: int = 8,
        sign_mode: SignMode | None = None,
        num_message_bits: int = 0,
        delay: int = 0,
        name: str | None = None,
        log_config: LogConfig | None = None,
    ) -> None:
        weights = weight_array("weights", weights, 2)
        super().__init__(
            weight_name="weights",
            weight=weights,
            weight_exp=weight_exp,
            num_weight_bits=num_weight_bits,
            sign_mode=sign_mode,
            num_message_bits=num_message_bits,
            delay=delay,
            input_shape=(weights.shape[1],),
            output_shape=(weights.shape[0],),
            name=name,
            log_config=log_config,
        )
