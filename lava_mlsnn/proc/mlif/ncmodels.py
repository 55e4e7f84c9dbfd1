"""Loihi 2 ProcessModel of :class:`MultiLevelIF`; without the closed extension, nothing.

Written against what is public of ``lava.magma.core.model.nc``: no one here has seen it run
on silicon (docs/loihi2.md).
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

    from lava_mlsnn.loihi2.program.allocation import multilevel_allocation
    from lava_mlsnn.proc.mlif.process import MultiLevelIF
    from lava_mlsnn.proc.nc import allocate_neurons, init
    from netx_export.spec.widths import shift

    @implements(proc=MultiLevelIF, protocol=LoihiProtocol)
    @requires(Loihi2NeuroCore)
    @tag("ucoded", "fixed_pt", "bit_accurate_loihi")
    class NcMultiLevelIF(AbstractNcProcessModel):
        """Multi-level neurons by a program of :mod:`lava_mlsnn.loihi2.program.neuron`."""

        a_in: NcInPort = LavaNcType(NcInPort, np.int32, precision=24)
        s_out: NcOutPort = LavaNcType(NcOutPort, np.int32, precision=24)
        v: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        vth: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        v0: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        bias_mant: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        bias_exp: NcVar = LavaNcType(NcVar, np.int32, precision=5)
        levels: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        reset_interval: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        reset_offset: NcVar = LavaNcType(NcVar, np.int32, precision=24)
        overflows: NcVar = LavaNcType(NcVar, np.int32, precision=24)  # not counted on the chip

        def allocate(self, net: Any) -> None:
            """Ask for one group of neurons, its constants and its output axons."""
            params = self.proc_params
            allocation = multilevel_allocation(
                params["shape"],
                init(self.vth),
                init(self.v0),
                shift(init(self.bias_mant), int(init(self.bias_exp)[0])),
                int(init(self.levels)[0]),
                reset_interval=int(init(self.reset_interval)[0]),
                depth=int(init(self.reset_offset)[0]) - 1,
                num_message_bits=params["num_message_bits"],
                overflow=params["overflow"],
            )
            allocate_neurons(self, net, allocation, params.get("ucode"))
