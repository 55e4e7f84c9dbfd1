"""Output block: class scores as an accumulated membrane."""

from __future__ import annotations

from typing import Any

import torch

from lava_mlsnn.population.hooks import check_hooks
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapse import DenseSynapse, Hook
from lava_mlsnn.slayer.block.base import PopulationBlock
from netx_export.builder import Builder

__all__ = ["Output"]


class Output(PopulationBlock):
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

    role = "output"

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
        synapse.pre_hook_fx = pre_hook_fx
        population = Population([synapse], None, scaling or Scaling.shared(), integrate=True)
        super().__init__(population, count_log)

    @property
    def units(self) -> float:
        """Integers of the readout per 1 of its scores in integer precision."""
        return float(self.population.cached_integers().scale[0])

    def layers(self, builder: Builder, name: str, source: int) -> int:
        """Add the readout to an export."""
        check_hooks(self.population, "its population", "layers")  # forward runs them
        return builder.population(name, self.population, source)

    def forward(self, x: torch.Tensor) -> Any:
        """Accumulated scores (N, F, T) in units of training, in every precision."""
        y = self.population(x)
        if not self.training and self.population.precision == "integer":
            y = (y / self.units).to(torch.float32)
        return self.logged(y)
