"""Fully connected block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapse import DenseSynapse, Hook
from lava_mlsnn.slayer.block.base import SpikingBlock

__all__ = ["Dense"]


class Dense(SpikingBlock):
    """Dense synapse, BatchNorm and multi-level neuron: (N, F_in, T) to (N, F_out, T).

    Parameters
    ----------
    neuron_params : dict
        Arguments of :class:`lava_mlsnn.neuron.MultiLevelNeuron`.
    in_neurons, out_neurons : int
        Sizes.
    weight_scale : float
        Factor on the initial weights.
    pre_hook_fx : callable, optional
        Applied to the float weight before folding and 8-bit rounding (a mask, say).
    count_log : bool
        See :class:`Block`.
    norm : bool
        BatchNorm (folded at export); without it a bias is trained.
    scaling : Scaling, optional
        How integers are scaled; default one scale per output.
    """

    def __init__(
        self,
        neuron_params: Mapping[str, Any],
        in_neurons: int,
        out_neurons: int,
        weight_scale: float = 1.0,
        pre_hook_fx: Hook | None = None,
        count_log: bool = False,
        *,
        norm: bool = True,
        scaling: Scaling | None = None,
    ) -> None:
        synapse = DenseSynapse(in_neurons, out_neurons, weight_scale, norm)
        super().__init__(synapse, neuron_params, pre_hook_fx, scaling, count_log)
