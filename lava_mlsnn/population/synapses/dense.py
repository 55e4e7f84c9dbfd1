"""Every neuron to every neuron."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.checks import check_whole
from lava_mlsnn.population.synapses.base import Shape, Synapse
from netx_export.spec import Dense
from netx_export.spec import Synapse as SynapseSpec
from netx_export.spec.limits import MAX_NEURONS

__all__ = ["DenseSynapse"]


class DenseSynapse(Synapse):
    """All-to-all, (F_in,) to (F_out,)."""

    def __init__(
        self,
        in_neurons: int,
        out_neurons: int,
        weight_scale: float = 1.0,
        norm: bool = True,
        bias: bool = True,
    ) -> None:
        self.in_neurons = check_whole("in_neurons", in_neurons, 1, MAX_NEURONS)
        self.out_neurons = check_whole("out_neurons", out_neurons, 1, MAX_NEURONS)
        super().__init__()
        self.take((in_neurons,))
        self._init_weight((out_neurons, in_neurons), weight_scale, norm, bias)

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        return (self.out_neurons,)

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """``x @ weight.T``."""
        assert weight is not None
        return F.linear(x, weight)

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """See :class:`Synapse`."""
        return Dense(source, weight, exponent)
