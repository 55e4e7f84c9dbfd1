"""Stand-in: adapters that pass numbers on; what leaves the chip comes back unsigned."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Adapter(AbstractProcess):
    def __init__(self, *, shape, num_message_bits):
        super().__init__(shape=shape, num_message_bits=num_message_bits)
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=shape)


class PyToNxAdapter(Adapter):
    pass


class NxToPyAdapter(Adapter):
    pass


class AbstractPass(PyLoihiProcessModel):
    def run_spk(self):
        bits = self.proc_params["num_message_bits"]
        self.out.send(self.inp.recv().astype(np.int64) & ((1 << bits) - 1))


@implements(proc=PyToNxAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PassIn(AbstractPass):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


@implements(proc=NxToPyAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PassOut(AbstractPass):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    late: np.ndarray = None

    def run_spk(self):
        """A timestep late, as an adapter may be."""
        bits = self.proc_params["num_message_bits"]
        arrived = self.inp.recv().astype(np.int64) & ((1 << bits) - 1)
        self.out.send(np.zeros_like(arrived) if self.late is None else self.late)
        self.late = arrived
