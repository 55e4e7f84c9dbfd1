"""The multi-level neuron in torch; its formula is :mod:`netx_export.spec.neurons.step`."""

from typing import TYPE_CHECKING

from netx_export.lazy import lazy
from netx_export.spec.neurons.step import (
    fixed_step,
    graded_spike,
    initial_state,
    message_bits,
    multilevel_step,
)

if TYPE_CHECKING:
    from lava_mlsnn.neuron.module import MultiLevelNeuron

__all__ = [
    "MultiLevelNeuron",
    "fixed_step",
    "graded_spike",
    "initial_state",
    "message_bits",
    "multilevel_step",
]

__getattr__, __dir__ = lazy(__name__, {"MultiLevelNeuron": ".module"})  # needs torch
