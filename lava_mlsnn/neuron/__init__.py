"""The multi-level neuron: pure step functions, and a torch module around them."""

from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name == "MultiLevelNeuron":  # torch only when asked for
        from lava_mlsnn.neuron.module import MultiLevelNeuron

        return MultiLevelNeuron
    raise AttributeError(name)
