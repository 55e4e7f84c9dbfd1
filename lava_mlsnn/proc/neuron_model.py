"""What the ProcessModels of the neurons share: the order of a timestep, and the sample reset."""

from typing import Any

import numpy as np
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from lava_mlsnn.proc.model import ExactProcessModel
from netx_export.spec.widths import shift

__all__ = ["AbstractPyNeurons", "AbstractPyNeuronsFixed", "AbstractPyNeuronsFloat"]


class AbstractPyNeurons(ExactProcessModel):
    """Receives, starts a sample anew where one begins, steps and sends."""

    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=5)
    reset_interval: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    reset_offset: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    overflows: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)
    v0: Any = 0  # a Var where a Process has one

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


class AbstractPyNeuronsFloat(AbstractPyNeurons):
    """Floating point: no width, nothing wraps."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    v: np.ndarray = LavaPyType(np.ndarray, float)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, float)

    def bias(self) -> np.ndarray:
        """Of every neuron."""
        bias: np.ndarray = self.bias_mant * 2.0 ** self.bias_exp.item()
        return bias


class AbstractPyNeuronsFixed(AbstractPyNeurons):
    """Fixed point, every intermediate in 24 bits signed.

    Precisions of inputs, outputs and state variables

    - a_in: signed 24-bit integer. The sum over synapses wraps.
    - v, bias_mant << bias_exp: signed 24-bit integer (-8388608 to 8388607).
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def bias(self) -> np.ndarray:
        """Of every neuron, in 64 bits."""
        return shift(self.bias_mant.astype(np.int64), self.bias_exp.item())
