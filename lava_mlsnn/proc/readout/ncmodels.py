"""Loihi 2 ProcessModel of :class:`Readout`; without the closed extension, nothing.

As for :class:`MultiLevelIF`, written against what is public and not seen on silicon.
"""

try:
    from lava.magma.core.model.nc.model import AbstractNcProcessModel
    from lava.magma.core.model.nc.ports import NcInPort, NcOutPort
    from lava.magma.core.model.nc.type import LavaNcType
    from lava.magma.core.model.nc.var import NcVar
except ImportError:  # a public Lava: the CPU models are all there is
    pass
else:
    from typing import Any

    import numpy as np
    from lava.magma.core.decorator import implements, requires, tag
    from lava.magma.core.resources import Loihi2NeuroCore
    from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

    from lava_mlsnn.loihi2.program.allocation import readout_allocation
    from lava_mlsnn.proc.nc import allocate_neurons, init
    from lava_mlsnn.proc.readout.process import Readout
    from netx_export.spec.widths import shift

    @implements(proc=Readout, protocol=LoihiProtocol)
    @requires(Loihi2NeuroCore)
    @tag("ucoded", "fixed_pt", "bit_accurate_loihi")
    class NcReadout(AbstractNcProcessModel):
        """Readout or relay by a microcode program, see :mod:`lava_mlsnn.loihi2.program.neuron`."""

        a_in: NcInPort = LavaNcType(NcInPort, np.int32, precision=24)
        s_out: NcOutPort = LavaNcType(NcOutPort, np.int32, precision=24)
        v: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        bias_mant: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        bias_exp: NcVar = LavaNcType(NcVar, np.int32, precision=5)
        reset_interval: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        reset_offset: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        overflows: NcVar = LavaNcType(NcVar, np.int32, precision=24)  # not counted on the chip

        def allocate(self, net: Any) -> None:
            """Ask for one group of neurons, its constants and its output axons."""
            params = self.proc_params
            allocation = readout_allocation(
                params["shape"],
                shift(init(self.bias_mant), int(init(self.bias_exp)[0])),
                integrate=params["integrate"],
                reset_interval=int(init(self.reset_interval)[0]),
                depth=int(init(self.reset_offset)[0]) - 1,
                num_message_bits=params["num_message_bits"],
            )
            allocate_neurons(self, net, allocation, params.get("ucode"))
