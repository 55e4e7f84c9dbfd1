"""Stand-in for the extension's own neuro-core model of a stock synapse."""

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.nc.model import AbstractNcProcessModel
from lava.magma.core.resources import Loihi2NeuroCore
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.process import Conv


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
@tag("fixed_pt", "ucoded")
class NcConv(AbstractNcProcessModel):
    def allocate(self, net):
        net.synapses.allocate(shape=self.process.weight.shape, process=self.process)
