"""Blocks at the end of a network: scores and averages, which no neuron turns into spikes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lava_mlsnn.checks import check_flag
from lava_mlsnn.population.hooks import check_hooks
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapses import DenseSynapse, GroupSynapse, Hook, Synapse
from lava_mlsnn.slayer.block.base import PopulationBlock, make_neuron, weighted
from netx_export.builder import Builder

__all__ = ["Affine", "Average", "Output"]


class Scores(PopulationBlock):
    """A synapse whose sums are the result, in units of training."""

    role = "output"

    def __init__(
        self, synapse: Synapse, scaling: Scaling, integrate: bool, count_log: bool
    ) -> None:
        super().__init__(Population([synapse], None, scaling, integrate), count_log)

    @property
    def units(self) -> float:
        """Integers of the readout per 1 of its scores in integer precision."""
        return float(self.population.cached_integers().scale[0])

    def layers(self, builder: Builder, name: str, source: int) -> int:
        """Add the readout to an export."""
        check_hooks(self.population, "its population", "layers")  # forward runs them
        return builder.population(name, self.population, source)

    def forward(self, x: torch.Tensor) -> Any:
        """Scores (N, F, T) in units of training, in every precision."""
        y = self.population(x)
        if not self.training and self.population.precision == "integer":
            y = (y / self.units).to(torch.float32)
        return self.logged(y)


class Output(Scores):
    """Dense synapse into neurons that integrate and do not spike: ``V = V + W z + b``.

    The result of a sample is V at its last timestep. All outputs share one scale,
    so integer and float scores rank alike.

    Parameters
    ----------
    in_neurons, out_neurons : int
        Sizes.
    weight_scale : float
        Factor on the initial weights (1 / window after a sum pool).
    pre_hook_fx, count_log
        As for :class:`Dense`.
    scaling : Scaling, optional
        Must be of mode ``"layer"`` or ``"fixed"``.
    """

    def __init__(
        self,
        in_neurons: int,
        out_neurons: int,
        weight_scale: float = 1.0,
        pre_hook_fx: Hook | None = None,
        count_log: bool = False,
        *,
        scaling: Scaling | None = None,
    ) -> None:
        synapse = DenseSynapse(in_neurons, out_neurons, weight_scale, norm=False)
        weighted(synapse, False, pre_hook_fx)
        super().__init__(synapse, scaling or Scaling.shared(), True, count_log)


class Affine(Scores):
    """Dense synapse without a bias and without spikes, with SLAYER's arguments.

    ``V = V + W z`` with ``dynamics``, which is the membrane of a neuron that neither
    leaks nor fires; the current ``W z`` of each timestep without.

    Parameters
    ----------
    neuron_params : dict
        Only checked: no neuron fires.
    in_neurons, out_neurons, weight_scale, weight_norm, pre_hook_fx, mask, count_log
        As for :class:`Dense`.
    dynamics : bool
        See above.
    scaling : Scaling, optional
        As for :class:`Output`.
    """

    def __init__(
        self,
        neuron_params: Mapping[str, Any],
        in_neurons: int,
        out_neurons: int,
        weight_scale: float = 1.0,
        weight_norm: bool = False,
        pre_hook_fx: Hook | None = None,
        dynamics: bool = True,
        mask: torch.Tensor | None = None,
        count_log: bool = False,
        *,
        scaling: Scaling | None = None,
    ) -> None:
        make_neuron(neuron_params)
        synapse = DenseSynapse(in_neurons, out_neurons, weight_scale, norm=False, bias=False)
        weighted(synapse, weight_norm, pre_hook_fx, mask)
        integrate = check_flag("dynamics", dynamics)
        super().__init__(synapse, scaling or Scaling.shared(), integrate, count_log)


class Average(Scores):
    """Mean over ``num_outputs`` equal groups of neighbouring neurons, in every timestep.

    (N, F, T) to (N, num_outputs, T). The file holds the sums: F / num_outputs units are 1.

    Parameters
    ----------
    num_outputs : int
        Groups; F, which the first forward says, is a multiple of it.
    count_log : bool
        See :class:`Block`.
    """

    def __init__(self, num_outputs: int, count_log: bool = False) -> None:
        super().__init__(GroupSynapse(num_outputs), Scaling("fixed"), False, count_log)

    @property
    def units(self) -> float:
        """Neurons of a group."""
        synapse = self.population.synapses[0]
        assert isinstance(synapse, GroupSynapse)
        return float(synapse.area)

    def forward(self, x: torch.Tensor) -> Any:
        """Means (N, num_outputs, T)."""
        return self.logged((self.population(x) / self.units).to(x.dtype))
