"""Neurons: each kind is one file and answers for its step, bounds, words and payload."""

from netx_export.spec.neurons.base import Neuron
from netx_export.spec.neurons.multilevel import MultiLevel
from netx_export.spec.neurons.readout import Readout
from netx_export.spec.neurons.stock import StockNeuron

__all__ = ["MultiLevel", "Neuron", "Readout", "StockNeuron"]
