"""What the neuron Processes share: bias, sample reset, and their checks."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import LogConfig
from lava.magma.core.process.variable import Var

from lava_mlsnn.checks import check_whole
from lava_mlsnn.proc.base import CheckedProcess, require_state, require_whole, reset_schedule
from netx_export.spec.widths import shift

__all__ = ["Neurons"]


class Neurons(CheckedProcess):
    """Base of the neuron Processes: a state that integrates, and starts anew every sample.

    ``numbers`` holds the checked parameters by name, ``bias_mant`` among them and, where
    a sample does not start at 0, ``v0``; each becomes a Var.

    Attributes
    ----------
    a_in, s_out : InPort, OutPort
        Synaptic input and payload, of ``shape``.
    v, bias_mant, bias_exp, reset_interval, reset_offset : Var
        ``reset_interval`` 0 stands for never.
    overflows : Var, (1,)
        Neuron-steps that left their width. 0 in a sound network.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        numbers: dict[str, np.ndarray],
        bias_exp: int,
        reset_interval: int | None,
        reset_offset: int,
        name: str | None,
        log_config: LogConfig | None,
        **proc_params: Any,
    ) -> None:
        interval, offset = reset_schedule(reset_interval, reset_offset)
        bias_exp = check_whole("bias_exp", bias_exp, -31, 31)
        super().__init__(shape=shape, name=name, log_config=log_config, **proc_params)
        self._numbers = numbers
        self.shape = shape
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=np.broadcast_to(numbers.get("v0", 0), shape).copy())
        for key, array in numbers.items():
            setattr(self, key, Var(shape=array.shape, init=array))
        self.bias_exp = Var(shape=(1,), init=bias_exp)
        self.reset_interval = Var(shape=(1,), init=interval)
        self.reset_offset = Var(shape=(1,), init=offset)
        self.overflows = Var(shape=(1,), init=0)

    def check_fixed(self) -> None:
        """See :class:`CheckedProcess`."""
        for key, array in self._numbers.items():
            require_whole(key, array)
        bias = shift(self._numbers["bias_mant"].astype(np.int64), int(self.bias_exp.init))
        require_state("bias_mant * 2**bias_exp", bias)
