"""CPU ProcessModels of :class:`Dense`: floating point and 24-bit fixed point."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.integer.kernels import dense
from lava_mlsnn.proc.dense.process import Dense
from lava_mlsnn.proc.synapse_model import AbstractPySynapseFixed, AbstractPySynapseFloat


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
    """Dense product in exact integers."""

    weights: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)

    def weighted_sum(self, s: np.ndarray) -> np.ndarray:
        """Exact product."""
        return dense(s[None], self.weights, self.exact(self.weights, s))[0]
