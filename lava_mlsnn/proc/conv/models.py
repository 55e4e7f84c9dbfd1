"""CPU ProcessModels of :class:`Conv`: floating point and 24-bit fixed point."""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.integer.kernels import correlate
from lava_mlsnn.proc.conv.process import Conv
from lava_mlsnn.proc.synapse_model import AbstractPySynapseFixed, AbstractPySynapseFloat


def convolve(
    proc_params: Any, s: np.ndarray, weight: np.ndarray, dtype: type[np.floating]
) -> np.ndarray:
    """Lava's convolution by the kernels' correlation, which is in (C, H, W) order.

    Lava flips the kernel (true convolution) and puts the width first.
    """
    out = correlate(
        s.transpose(2, 1, 0)[None],
        weight[:, ::-1, ::-1, :].transpose(0, 3, 2, 1),
        proc_params["stride"][::-1],
        proc_params["padding"][::-1],
        proc_params["dilation"][::-1],
        proc_params["groups"],
        dtype,
    )
    return out[0].transpose(2, 1, 0)


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyConvFloat(AbstractPySynapseFloat):
    """Convolution in floating point."""

    weight: np.ndarray = LavaPyType(np.ndarray, float)

    def weighted_sum(self, s: np.ndarray) -> np.ndarray:
        """float64 convolution."""
        return convolve(self.proc_params, s, self.weight, np.float64)


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyConvFixed(AbstractPySynapseFixed):
    """Convolution in exact integers."""

    weight: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)

    def weighted_sum(self, s: np.ndarray) -> np.ndarray:
        """Exact convolution."""
        out = convolve(self.proc_params, s, self.weight, self.exact(self.weight, s))
        return out.astype(np.int64)
