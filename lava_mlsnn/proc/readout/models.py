"""CPU ProcessModels of :class:`Readout`: floating point and 24-bit fixed point."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.proc.neuron_model import AbstractPyNeuronsFixed, AbstractPyNeuronsFloat
from lava_mlsnn.proc.readout.process import Readout
from netx_export.spec.widths import fit_state, wrap24


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyReadoutFloat(AbstractPyNeuronsFloat):
    """Floating point: no width, nothing wraps."""

    def step(self, a: np.ndarray) -> np.ndarray:
        """Floating sum."""
        total: np.ndarray = self.v + a + self.bias()
        if self.proc_params["integrate"]:
            self.v[:] = total
        return total


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyReadoutFixed(AbstractPyNeuronsFixed):
    """Fixed point, see :class:`AbstractPyNeuronsFixed`.

    - s_out: signed 24-bit integer; values beyond num_message_bits are counted.
    """

    def step(self, a: np.ndarray) -> np.ndarray:
        """24-bit sum; counts what left the width of the message."""
        a, outside = fit_state(a.astype(np.int64))
        total = self.v + a + self.bias()
        half = 1 << (self.proc_params["num_message_bits"] - 1)
        self.overflows[0] += outside + np.count_nonzero((total < -half) | (total >= half))
        total = wrap24(total)
        if self.proc_params["integrate"]:
            self.v[:] = total
        return total
