"""CPU ProcessModels of :class:`MultiLevelIF`: floating point and 24-bit fixed point."""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.proc.mlif.process import MultiLevelIF
from lava_mlsnn.proc.model import ExactProcessModel
from netx_export.spec.step import fixed_step, graded_spike, multilevel_step
from netx_export.spec.widths import STATE_MAX, STATE_MIN, fit_state, shift


class AbstractPyMultiLevelIF(ExactProcessModel):
    """What both number kinds share: the order of a timestep and the sample reset."""

    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=5)
    levels: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    reset_interval: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    reset_offset: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    overflows: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)

    def run_spk(self) -> None:
        """One timestep."""
        a = self.a_in.recv()
        interval = self.reset_interval.item()
        if interval and (self.time_step - self.reset_offset.item()) % interval == 0:
            self.v[:] = self.v0
        self.s_out.send(self.step(a))

    def step(self, a: np.ndarray) -> np.ndarray:
        """Integrate ``a``, update ``v``, return the payload."""
        raise NotImplementedError


@implements(proc=MultiLevelIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyMultiLevelIFFloat(AbstractPyMultiLevelIF):
    """Floating point: no width, nothing wraps; for thresholds that are not whole."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    v: np.ndarray = LavaPyType(np.ndarray, float)
    vth: np.ndarray = LavaPyType(np.ndarray, float)
    v0: np.ndarray = LavaPyType(np.ndarray, float)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, float)

    def step(self, a: np.ndarray) -> np.ndarray:
        """One timestep in floating point."""
        bias = self.bias_mant * 2.0 ** self.bias_exp.item()
        z, self.v[:] = multilevel_step(self.v, a + bias, self.vth, self.levels.item())
        return z


@implements(proc=MultiLevelIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyMultiLevelIFFixed(AbstractPyMultiLevelIF):
    """Fixed point, every intermediate in 24 bits signed.

    Precisions of inputs, outputs and state variables

    - a_in: signed 24-bit integer. The sum over synapses wraps.
    - s_out: unsigned payload 0..levels in a signed message of num_message_bits.
    - v, v0: signed 24-bit integer (-8388608 to 8388607).
    - vth: signed 24-bit integer, at least 1.
    - bias_mant << bias_exp: signed 24-bit integer.
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    v0: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

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
            self._bias = shift(self.bias_mant.astype(np.int64), self.bias_exp.item())
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
