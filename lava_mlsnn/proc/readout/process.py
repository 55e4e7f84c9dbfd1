"""Sums without spikes as a Lava Process: the network's output, and relays."""

from __future__ import annotations

import os
from typing import Any

from lava.magma.core.process.process import LogConfig

from lava_mlsnn.checks import check_flag
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.proc.base import parameter, positive_shape
from lava_mlsnn.proc.neuron import Neurons


class Readout(Neurons):
    """Neurons that send their sum as a signed payload.

    ::

        V = 0             if t % reset_interval == reset_offset % reset_interval
        integrate:        V = V + a + b, s_out = V
        otherwise:        s_out = a + b        (a relay without state)

    Parameters
    ----------
    shape : tuple of int
        Neurons, channels last: (W, H, C) or (F,).
    bias_mant, bias_exp : number or array, int, optional
        Bias ``bias_mant * 2**bias_exp``, one value, one per channel or one per
        neuron; 24-bit signed.
    integrate : bool, optional
        Sum over the timesteps of a sample, or relay each timestep on its own.
    reset_interval, reset_offset : int or None, int, optional
        As in :class:`~lava_mlsnn.proc.mlif.process.MultiLevelIF`.
    num_message_bits : {8, 16, 24}, optional
        Signed width that the payload should keep to. A payload outside is counted
        in ``overflows`` and sent in 24 bits all the same.
    ucode : path or None, optional
        For Loihi 2: folder of the microcode programs (:mod:`lava_mlsnn.loihi2.program.files`).
    name, log_config : optional
        As in every Lava Process.

    Attributes
    ----------
    a_in, s_out, v, bias_mant, bias_exp, reset_interval, reset_offset
        As in :class:`~lava_mlsnn.proc.neuron.Neurons`.
    overflows : Var, (1,)
        Neuron-steps that left 24 bits in the sum of the synapses, or whose
        payload left ``num_message_bits``.

    Raises
    ------
    ConfigError, RangeError
        On an argument that cannot work.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        bias_mant: Any = 0,
        bias_exp: int = 0,
        integrate: bool = True,
        reset_interval: int | None = None,
        reset_offset: int = 1,
        num_message_bits: int = 24,
        ucode: str | os.PathLike[str] | None = None,
        name: str | None = None,
        log_config: LogConfig | None = None,
    ) -> None:
        shape = positive_shape(shape)
        if num_message_bits not in (8, 16, 24):
            raise ConfigError(f"num_message_bits must be 8, 16 or 24, got {num_message_bits!r}")
        check_flag("integrate", integrate)
        super().__init__(
            shape=shape,
            numbers={"bias_mant": parameter("bias_mant", bias_mant, shape)},
            bias_exp=bias_exp,
            reset_interval=reset_interval,
            reset_offset=reset_offset,
            integrate=integrate,
            num_message_bits=num_message_bits,
            ucode=ucode,
            name=name,
            log_config=log_config,
        )
