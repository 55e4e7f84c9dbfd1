"""CPU ProcessModels of :class:`Readout`: floating point and 24-bit fixed point."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.proc.model import ExactProcessModel
from lava_mlsnn.proc.readout.process import Readout
from netx_export.spec.widths import fit_state, shift, wrap24


class AbstractPyReadout(ExactProcessModel):
    """What both number kinds share: the order of a timestep and the sample reset."""

    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=5)
    reset_interval: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    reset_offset: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    overflows: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)

    def run_spk(self) -> None:
        """One timestep."""
        a = self.a_in.recv()
        interval = self.reset_interval.item()
        if interval and (self.time_step - self.reset_offset.item()) % interval == 0:
            self.v[:] = 0
        total = self.add(a)
        if self.proc_params["integrate"]:
            self.v[:] = total
        self.s_out.send(total)

    def add(self, a: np.ndarray) -> np.ndarray:
        """``v + a + b`` in the model's numbers."""
        raise NotImplementedError


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyReadoutFloat(AbstractPyReadout):
    """Floating point: no width, nothing wraps."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    v: np.ndarray = LavaPyType(np.ndarray, float)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, float)

    def add(self, a: np.ndarray) -> np.ndarray:
        """Floating sum."""
        total: np.ndarray = self.v + a + self.bias_mant * 2.0 ** self.bias_exp.item()
        return total


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyReadoutFixed(AbstractPyReadout):
    """Fixed point, every intermediate in 24 bits signed.

    Precisions of inputs, outputs and state variables

    - a_in: signed 24-bit integer. The sum over synapses wraps.
    - s_out: signed 24-bit integer; values beyond num_message_bits are counted.
    - v, bias_mant << bias_exp: signed 24-bit integer.
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def add(self, a: np.ndarray) -> np.ndarray:
        """24-bit sum; counts what left the width of the message."""
        a, outside = fit_state(a.astype(np.int64))
        total = self.v + a + shift(self.bias_mant.astype(np.int64), self.bias_exp.item())
        half = 1 << (self.proc_params["num_message_bits"] - 1)
        self.overflows[0] += outside + np.count_nonzero((total < -half) | (total >= half))
        return wrap24(total)
