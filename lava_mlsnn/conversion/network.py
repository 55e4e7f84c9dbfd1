"""The network that a conversion gives."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapses import Synapse
from lava_mlsnn.slayer.block.base import Block, PopulationBlock
from netx_export.builder import Builder

__all__ = ["ConvertedNetwork", "Join", "Meaning", "Readout"]


class Readout(PopulationBlock):
    """Class scores: :class:`lava_mlsnn.slayer.block.Output` for any synapses, several too."""

    role = "output"

    def __init__(self, synapses: list[Synapse]) -> None:
        super().__init__(Population(synapses, None, Scaling.shared(), integrate=True))

    @property
    def units(self) -> float:
        """Integers of the readout per 1 of its scores in integer precision."""
        return float(self.population.cached_integers().scale[0])

    def layers(self, builder: Builder, name: str, *sources: int) -> int:
        """Add the readout to an export."""
        return builder.population(name, self.population, *sources)

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        """Accumulated scores (N, F, T) in units of training, in every precision."""
        y: torch.Tensor = self.population(*xs)
        if not self.training and self.population.precision == "integer":
            y = (y / self.units).to(torch.float32)
        return y


class Join(torch.nn.Module):
    """Payloads side by side, along channels: followed by the export, no population.

    Parameters
    ----------
    shape : tuple of int
        Of the result; payloads are flattened where it is (F,).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        """(N, C, ..., T) each."""
        flat = len(self.shape) == 1
        return torch.cat([x.flatten(1, -2) if flat else x for x in xs], 1)


@dataclass(frozen=True)
class Meaning:
    """What a payload stands for in the float network.

    Attributes
    ----------
    place : str
        The operation of the float network (its name in ``torch.fx``) that is rounded.
    cap : float
        The float network's own upper end, such as 6 of a ReLU6.
    signed : bool
        Whether channels are sent by their signs, at 2c and 2c + 1.
    step : tuple of float
        What a payload of 1 stands for, per channel of the float network.
    """

    place: str
    cap: float
    signed: bool
    step: tuple[float, ...]


class ConvertedNetwork(torch.nn.Module):
    """Populations and how they are connected; trains, and exports, as any network of blocks.

    Parameters
    ----------
    blocks : mapping of str to Module
        In the order of their calls: an ``Input`` first, a :class:`Readout` last.
    sources : mapping of str to tuple of str
        Which blocks feed one, one a synapse.
    meaning : mapping of str to Meaning
        Of the populations with neurons.
    timesteps : int
        T of one sample.

    Attributes
    ----------
    class_names : tuple of str
        What the outputs are called, for the file.
    """

    def __init__(
        self,
        blocks: OrderedDict[str, torch.nn.Module],
        sources: dict[str, tuple[str, ...]],
        meaning: dict[str, Meaning],
        timesteps: int,
    ) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleDict(blocks)
        self.sources, self.meaning = sources, meaning
        self.timesteps = timesteps
        self.class_names: tuple[str, ...] = ()

    @property
    def input(self) -> Block:
        """The block that samples enter by."""
        first = next(iter(self.blocks.values()))
        assert isinstance(first, Block)
        return first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, classes) of (N, ...) or (N, ..., T), as the float network's.

        Static samples are shown in every timestep; scores are averages over T.
        """
        dims = len(self.input.shape) + 1
        if x.dim() == dims:
            x = x.unsqueeze(-1).expand(*x.shape, self.timesteps)
        elif x.dim() != dims + 1:
            shape = ", ".join(map(str, self.input.shape))
            raise ConfigError(f"samples must be (N, {shape}), got {tuple(x.shape)}")
        sent: dict[str, torch.Tensor] = {}
        for name, block in self.blocks.items():
            sources = [sent[s] for s in self.sources[name]]
            sent[name] = x = block(*fitted(block, sources or [x]))
        return x[..., -1] / x.shape[-1]


def fitted(block: torch.nn.Module, sources: list[torch.Tensor]) -> list[torch.Tensor]:
    """Payloads, flattened where a synapse reads them so."""
    population = block if isinstance(block, Population) else getattr(block, "population", None)
    if population is None:
        return sources
    return [
        x.flatten(1, -2) if x.dim() > 3 and len(synapse.in_shape) == 1 else x
        for synapse, x in zip(population.synapses, sources, strict=True)
    ]
