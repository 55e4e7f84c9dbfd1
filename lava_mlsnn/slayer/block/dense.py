"""Fully connected block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapses import DenseSynapse, Hook, Synapse
from lava_mlsnn.slayer.block.base import SpikingBlock, weighted

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
    weight_norm : bool
        Train magnitude and direction of the weight, see
        :class:`lava_mlsnn.population.normed.NormedWeight`.
    pre_hook_fx : callable, optional
        Applied to the float weight before folding and 8-bit rounding.
    delay, delay_shift : bool
        Of lava-dl; True is refused.
    mask : Tensor, (F_out, F_in), optional
        Factor of the weight: what it sets to 0 stays 0 in the file.
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
        weight_norm: bool = False,
        pre_hook_fx: Hook | None = None,
        delay: bool = False,
        delay_shift: bool = False,
        mask: torch.Tensor | None = None,
        count_log: bool = False,
        *,
        norm: bool = True,
        scaling: Scaling | None = None,
    ) -> None:
        synapse: Synapse = DenseSynapse(in_neurons, out_neurons, weight_scale, norm)
        synapse = weighted(synapse, weight_norm, pre_hook_fx, mask)
        super().__init__(synapse, neuron_params, scaling, delay, delay_shift, count_log)
