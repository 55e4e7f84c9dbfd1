"""The integer network as data: what a file holds, a runner runs and Lava executes.

A :class:`NetworkSpec` is a tuple of layers. A :class:`Population` is a group of
neurons with one or more synapses that sum into it; each synapse names its source
layer by index, so residual networks are plain DAGs. Nothing here needs torch,
Lava or h5py.
"""

from netx_export.spec.checks import Shape
from netx_export.spec.layers import Flatten, Input, Layer, Population
from netx_export.spec.network import NetworkSpec, need_spec
from netx_export.spec.neurons import MultiLevel, Neuron, Readout, StockNeuron
from netx_export.spec.synapses.base import Synapse
from netx_export.spec.synapses.conv import Conv
from netx_export.spec.synapses.conv_transpose import ConvTranspose
from netx_export.spec.synapses.dense import Dense
from netx_export.spec.synapses.identity import Identity

__all__ = [
    "Conv",
    "ConvTranspose",
    "Dense",
    "Flatten",
    "Identity",
    "Input",
    "Layer",
    "MultiLevel",
    "NetworkSpec",
    "Neuron",
    "Population",
    "Readout",
    "Shape",
    "StockNeuron",
    "Synapse",
    "need_spec",
]
