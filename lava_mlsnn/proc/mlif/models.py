"""CPU ProcessModels of :class:`MultiLevelIF`: floating point and 24-bit fixed point."""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.proc.mlif.process import MultiLevelIF
from lava_mlsnn.proc.neuron_model import AbstractPyNeuronsFixed, AbstractPyNeuronsFloat
from netx_export.spec.neurons.step import fixed_step, graded_spike, multilevel_step
from netx_export.spec.widths import STATE_MAX, STATE_MIN, fit_state


@implements(proc=MultiLevelIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyMultiLevelIFFloat(AbstractPyNeuronsFloat):
    """Floating point: no width, nothing wraps; for thresholds that are not whole."""

    levels: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    vth: np.ndarray = LavaPyType(np.ndarray, float)
    v0: np.ndarray = LavaPyType(np.ndarray, float)

    def step(self, a: np.ndarray) -> np.ndarray:
        """One timestep in floating point."""
        z, self.v[:] = multilevel_step(self.v, a + self.bias(), self.vth, self.levels.item())
        return z


@implements(proc=MultiLevelIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyMultiLevelIFFixed(AbstractPyNeuronsFixed):
    """Fixed point, see :class:`AbstractPyNeuronsFixed`.

    - s_out: unsigned payload 0..levels in a signed message of num_message_bits.
    - v0: signed 24-bit integer; vth too, at least 1.
    """

    levels: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    v0: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._bias: np.ndarray | None = None
        self._vth: np.ndarray | None = None

    def on_var_update(self) -> None:
        """Forget what was derived from Vars: one was set from outside."""
        self._bias = None

    def step(self, a: np.ndarray) -> np.ndarray:
        """One timestep in 24-bit integers."""
        if self._bias is None:
            self._bias = self.bias()
            self._vth = self.vth.astype(np.float32)
        levels = self.levels.item()
        h = self.v + a + self._bias.astype(np.int32)  # 32 bits hold the sum of three 24-bit ones
        if _fits(a) and _fits(h):
            z = graded_spike(h.astype(np.float32), self._vth, levels).astype(np.int32)
            np.subtract(h, self.vth * z, out=self.v)
            return z
        a, outside = fit_state(a.astype(np.int64))
        z, v, count = fixed_step(
            self.v.astype(np.int64),
            a + self._bias,
            self.vth.astype(np.int64),
            levels,
            self.proc_params["overflow"],
        )
        self.v[:] = v
        self.overflows[0] += outside + count
        return z


def _fits(x: np.ndarray) -> bool:
    return bool(x.min() >= STATE_MIN and x.max() <= STATE_MAX)
