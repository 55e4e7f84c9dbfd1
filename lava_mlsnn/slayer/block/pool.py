"""Average pooling that exports exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapses import PoolSynapse
from lava_mlsnn.slayer.block.base import PopulationBlock, make_neuron
from netx_export.spec.kernels import Pair
from netx_export.spec.neurons.step import message_bits

__all__ = ["Pool"]


class Pool(PopulationBlock):
    """Sum over windows, as a relay or with a multi-level neuron.

    With ``neuron_params`` the neuron's threshold is ``threshold * kH * kW``, so it
    fires the average: ``z = clip(floor(sum / (kH kW threshold)), 0, N)`` plus state.
    With None the sum itself is sent (0..kH*kW*N): the next layer's weights absorb
    the division.

    Parameters
    ----------
    neuron_params : dict or None
        See above; ``train_threshold`` is ignored here.
    input_shape : tuple of int or None
        (C, H, W); None: the first forward says it.
    kernel_size, stride : int or (int, int)
        Window and step, (H, W) order; the step defaults to the window.
    payload_max : int
        Largest payload of the source (sets the message width of the sum).
    count_log : bool
        See :class:`Block`.
    """

    def __init__(
        self,
        neuron_params: Mapping[str, Any] | None,
        input_shape: tuple[int, ...] | None,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        *,
        payload_max: int,
        count_log: bool = False,
    ) -> None:
        synapse = PoolSynapse(input_shape, kernel_size, stride)
        neuron, whole = None, True
        if neuron_params is not None:
            threshold = float(neuron_params.get("threshold", 1.0)) * synapse.area
            neuron = make_neuron(neuron_params, threshold=threshold, train_threshold=False)
            whole = threshold.is_integer()
        total = payload_max * synapse.area
        # a threshold between whole numbers needs finer units than 1
        scaling = Scaling("fixed", fixed=1.0 if whole else 128.0)
        bits = max(8, message_bits(total))
        super().__init__(Population([synapse], neuron, scaling, num_message_bits=bits), count_log)
        self.payload_max = total if neuron is None else neuron.levels
