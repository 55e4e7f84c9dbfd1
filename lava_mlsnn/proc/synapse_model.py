"""What the ProcessModels of the synapses share: one timestep, and the 24-bit end."""

from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from lava_mlsnn.integer.bits import fit_state, shift

__all__ = ["AbstractPySynapse", "AbstractPySynapseFixed", "AbstractPySynapseFloat"]


class AbstractPySynapse(PyLoihiProcessModel):
    """Sends what was due, then receives and computes: cycles do not deadlock."""

    weight_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=6)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=5)
    delay: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=6)
    overflows: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=24)

    def run_spk(self) -> None:
        """One timestep."""
        slot = self.time_step % len(self.a_buf)
        self.a_out.send(self.a_buf[slot])
        s = self.s_in.recv()
        if self.num_message_bits.item() == 0:
            s = s.astype(bool)
        self.a_buf[slot] = self.finish(self.weighted_sum(s))

    def weighted_sum(self, s: np.ndarray) -> np.ndarray:
        """``W(s)``, exact."""
        raise NotImplementedError

    def finish(self, total: np.ndarray) -> np.ndarray:
        """Exponent and width."""
        raise NotImplementedError


class AbstractPySynapseFloat(AbstractPySynapse):
    """Floating point: no width, nothing wraps."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    a_buf: np.ndarray = LavaPyType(np.ndarray, float)

    def finish(self, total: np.ndarray) -> np.ndarray:
        """Scale by ``2**weight_exp``."""
        scaled: np.ndarray = total * 2.0 ** self.weight_exp.item()
        return scaled


class AbstractPySynapseFixed(AbstractPySynapse):
    """Fixed point: exact sum, shift, 24-bit wrap.

    Precisions of inputs, outputs and weights

    - s_in: signed integer of num_message_bits (0: cast to bool).
    - weights: 8-bit mantissa, see :func:`lava_mlsnn.integer.bits.check_weights`.
    - a_out: signed 24-bit integer.
    """

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    a_buf: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.row_sum: int | None = None

    def on_var_update(self) -> None:
        """Forget what was derived from the weights: a Var was set from outside."""
        self.row_sum = None

    def exact(self, weight: np.ndarray, s: np.ndarray) -> type[np.floating]:
        """Return the narrowest float in which this timestep's sums are exact.

        Chosen from the payloads that came, since a sender may leave the width
        that it declared.
        """
        if self.row_sum is None:
            rows = np.abs(weight.reshape(weight.shape[0], -1).astype(np.int64))
            self.row_sum = int(rows.sum(axis=1).max())
        largest = max(int(s.max()), -int(s.min()))
        return np.float32 if self.row_sum * largest < 1 << 24 else np.float64

    def finish(self, total: np.ndarray) -> np.ndarray:
        """Shift, wrap, and count what left 24 bits."""
        fitted, outside = fit_state(shift(total, self.weight_exp.item()))
        self.overflows[0] += outside
        return fitted
