"""Stand-in for the extension's own neuro-core models of stock synapses."""

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.nc.model import AbstractNcProcessModel
from lava.magma.core.resources import Loihi2NeuroCore
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.sparse.process import DelaySparse, Sparse


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
@tag("fixed_pt", "ucoded")
class NcSparse(AbstractNcProcessModel):
    def allocate(self, net):
        net.synapses.allocate(shape=self.process.weights.shape, process=self.process)


@implements(proc=DelaySparse, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
@tag("fixed_pt", "ucoded")
class NcDelaySparse(AbstractNcProcessModel):
    def allocate(self, net):
        net.synapses.allocate(shape=self.process.weights.shape, process=self.process)
