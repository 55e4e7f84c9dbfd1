"""A network's integers at machine speed, on torch's CPU kernels.

The integer runner computes whole batches with it, the leaf ProcessModel of
:class:`netx_export.Network` one timestep at a time. Every layer takes the fastest
of four forms that is exact for it, chosen when the network is loaded, and one sample
at a time is one call in the end (:mod:`lava_mlsnn.engine.whole`):

``Taps``       T = 1: payloads added and subtracted in bytes, such as max pooling
``Fused``      T = 1: an 8-bit convolution whose rescaling *is* the threshold
``General``    exact sums in floats, then the neuron, timestep by timestep
``Reference``  64-bit integers in NumPy with wrap and saturation, where the worst
               case of a layer leaves 24 bits
"""

from lava_mlsnn.engine.engine import Engine
from lava_mlsnn.engine.stream import StreamEngine

__all__ = ["Engine", "StreamEngine"]
