"""Sums without spikes as a Lava Process: the network's output, and relays."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import LogConfig
from lava.magma.core.process.variable import Var

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.proc.base import (
    CheckedProcess,
    parameter,
    positive_shape,
    require_state,
    require_whole,
    reset_schedule,
)
from netx_export.spec.widths import shift


class Readout(CheckedProcess):
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
    a_in, s_out : InPort, OutPort
    v, bias_mant, bias_exp, reset_interval, reset_offset : Var
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
        interval, offset = reset_schedule(reset_interval, reset_offset)
        bias = parameter("bias_mant", bias_mant, shape)
        super().__init__(
            shape=shape,
            integrate=bool(integrate),
            num_message_bits=num_message_bits,
            ucode=ucode,
            name=name,
            log_config=log_config,
        )
        self._bias = bias
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=0)
        self.bias_mant = Var(shape=bias.shape, init=bias)
        self.bias_exp = Var(shape=(1,), init=int(bias_exp))
        self.reset_interval = Var(shape=(1,), init=interval)
        self.reset_offset = Var(shape=(1,), init=offset)
        self.overflows = Var(shape=(1,), init=0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the population."""
        shape: tuple[int, ...] = self.proc_params["shape"]
        return shape

    def check_fixed(self) -> None:
        """See :class:`CheckedProcess`."""
        require_whole("bias_mant", self._bias)
        bias = shift(self._bias.astype(np.int64), int(self.bias_exp.init))
        require_state("bias_mant * 2**bias_exp", bias)
