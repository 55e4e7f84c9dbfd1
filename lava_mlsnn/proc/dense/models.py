"""CPU ProcessModels of :class:`Dense`: floating point and 24-bit fixed point."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.proc.dense.process import Dense
from lava_mlsnn.proc.synapse_model import (
    AbstractPySynapseFixed,
    AbstractPySynapseFloat,
    largest_row_sum,
)

SPARSE = 8  # of so many inputs at most one active: gathering its weights is faster


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyDenseFloat(AbstractPySynapseFloat):
    """Dense product in floating point."""

    weights: np.ndarray = LavaPyType(np.ndarray, float)

    def weighted_sum(self, s: np.ndarray) -> np.ndarray:
        """float64 product."""
        return self.weights @ s


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyDenseFixed(AbstractPySynapseFixed):
    """Dense product in exact integers.

    Event-driven: where few inputs are active, only their weights are read.
    """

    weights: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)

    def prepare(self) -> int:
        """See :class:`AbstractPySynapseFixed`."""
        self._columns = np.ascontiguousarray(self.weights.T, np.float32)  # (F_in, F_out)
        return largest_row_sum(self.weights)

    def weighted_sum(self, s: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
        """See :class:`AbstractPySynapseFixed`."""
        return self.weights.astype(dtype) @ s.astype(dtype)

    def small_sum(self, s: np.ndarray, low: int, high: int) -> np.ndarray:
        """See :class:`AbstractPySynapseFixed`."""
        active = np.flatnonzero(s)
        if SPARSE * active.size < s.size:
            return s[active].astype(np.float32) @ self._columns[active]
        return s.astype(np.float32) @ self._columns
