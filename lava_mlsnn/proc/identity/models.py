"""CPU ProcessModels of :class:`Identity`: floating point and 24-bit fixed point."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.proc.identity.process import Identity
from lava_mlsnn.proc.synapse_model import AbstractPySynapseFixed, AbstractPySynapseFloat


@implements(proc=Identity, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyIdentityFloat(AbstractPySynapseFloat):
    """Gain in floating point."""

    weight: np.ndarray = LavaPyType(np.ndarray, float)

    def weighted_sum(self, s: np.ndarray) -> np.ndarray:
        """float64 product."""
        return s * self.weight


@implements(proc=Identity, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyIdentityFixed(AbstractPySynapseFixed):
    """Gain in exact integers."""

    weight: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)

    def prepare(self) -> int:
        """See :class:`AbstractPySynapseFixed`."""
        return int(np.abs(self.weight).max())

    def weighted_sum(self, s: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
        """See :class:`AbstractPySynapseFixed`."""
        return s.astype(dtype) * self.weight

    def small_sum(self, s: np.ndarray, low: int, high: int) -> np.ndarray:
        """See :class:`AbstractPySynapseFixed`."""
        return s.astype(np.int32, copy=False) * self.weight
