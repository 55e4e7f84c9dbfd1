"""What the ProcessModels of the synapses share: one timestep, and the 24-bit end."""

from typing import Any

import numpy as np
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from lava_mlsnn.proc.model import ExactProcessModel
from netx_export.spec.widths import STATE_MAX, fit_state, shift

__all__ = ["AbstractPySynapse", "AbstractPySynapseFixed", "AbstractPySynapseFloat"]


class AbstractPySynapse(ExactProcessModel):
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
        self.a_buf[slot] = self.activation(s)

    def activation(self, s: np.ndarray) -> np.ndarray:
        """``W(s)`` with exponent and width."""
        raise NotImplementedError


class AbstractPySynapseFloat(AbstractPySynapse):
    """Floating point: no width, nothing wraps."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    a_buf: np.ndarray = LavaPyType(np.ndarray, float)

    def activation(self, s: np.ndarray) -> np.ndarray:
        """``W(s) * 2**weight_exp``."""
        scaled: np.ndarray = self.weighted_sum(s) * 2.0 ** self.weight_exp.item()
        return scaled

    def weighted_sum(self, s: np.ndarray) -> np.ndarray:
        """``W(s)`` in float64."""
        raise NotImplementedError


class AbstractPySynapseFixed(AbstractPySynapse):
    """Fixed point: exact sum, shift, 24-bit wrap.

    Precisions of inputs, outputs and weights

    - s_in: signed integer of num_message_bits (0: cast to bool).
    - weights: 8-bit mantissa, see :func:`netx_export.spec.widths.check_weights`.
    - a_out: signed 24-bit integer.

    Where the payloads that came cannot leave 24 bits, which is the rule, the sum runs
    in the fastest arithmetic that is exact for them and nothing is checked afterwards.
    """

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    a_buf: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._row_sum: int | None = None

    def on_var_update(self) -> None:
        """Forget what was derived from the weights: a Var was set from outside."""
        self._row_sum = None

    def activation(self, s: np.ndarray) -> np.ndarray:
        """``W(s)``, shifted; wrapped and counted where it leaves 24 bits.

        Judged by the payloads that came, since a sender may leave the width that it
        declared.
        """
        if self._row_sum is None:
            self._row_sum = self.prepare()
        low, high = int(s.min()), int(s.max())
        reach = self._row_sum * max(high, -low)
        exponent = self.weight_exp.item()
        if reach << max(exponent, 0) > STATE_MAX:
            dtype = np.float32 if reach < 1 << 24 else np.float64
            total = self.weighted_sum(s, dtype).astype(np.int64)
            fitted, outside = fit_state(shift(total, exponent))
            self.overflows[0] += outside
            return fitted
        total = self.small_sum(s, low, high)
        if exponent > 0:
            return total * (1 << exponent)
        return total if exponent == 0 else shift(total.astype(np.int32), exponent)

    def prepare(self) -> int:
        """Derive what the sums need from the weights; return the largest row sum of |w|."""
        raise NotImplementedError

    def weighted_sum(self, s: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
        """``W(s)`` in a float type that is exact for it."""
        raise NotImplementedError

    def small_sum(self, s: np.ndarray, low: int, high: int) -> np.ndarray:
        """``W(s)`` of payloads low..high, below 2**23: whole numbers of any type."""
        return self.weighted_sum(s, np.float32)


def largest_row_sum(weight: np.ndarray) -> int:
    """Largest sum of magnitudes over the weights of one output channel (first axis)."""
    rows = np.abs(weight.reshape(weight.shape[0], -1).astype(np.int64))
    return int(rows.sum(axis=1).max())
