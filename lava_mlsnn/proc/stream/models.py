"""CPU ProcessModels of :class:`Stream` and :class:`Record`."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.proc.stream.process import Record, Stream


class AbstractPyStream(PyLoihiProcessModel):
    """Source model."""

    def run_spk(self) -> None:
        """Send this timestep's item, or zeros after the last."""
        data = self.proc_params["data"]
        item = (self.time_step - 1) // self.proc_params["repeat"]
        self.s_out.send(data[item] if item < len(data) else np.zeros_like(data[0]))


@implements(proc=Stream, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyStreamFloat(AbstractPyStream):
    """Floating-point source."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=Stream, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStreamFixed(AbstractPyStream):
    """Integer source."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)


class AbstractPyRecord(PyLoihiProcessModel):
    """Sink model."""

    def run_spk(self) -> None:
        """Keep this timestep's data, then advance the clock that the script reads."""
        arrived = self.a_in.recv()
        index = self.time_step - 1 - self.proc_params["start"]
        data = self.proc_params["data"]
        if 0 <= index < len(data):
            data[index] = arrived
        self.proc_params["clock"][0] = self.time_step


@implements(proc=Record, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyRecordFloat(AbstractPyRecord):
    """Floating-point sink."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)


@implements(proc=Record, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRecordFixed(AbstractPyRecord):
    """Integer sink."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
