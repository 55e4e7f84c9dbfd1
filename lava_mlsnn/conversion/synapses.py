"""Arms in the units of payloads.

Rows are divided by what a target stands for, columns multiplied by what a source stands for;
each sign has a row and a column.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lava_mlsnn.conversion.plan import Arm
from lava_mlsnn.population.synapses import ConvSynapse, DenseSynapse, IdentitySynapse, Synapse

__all__ = ["Units", "synapse"]


@dataclass(frozen=True)
class Units:
    """What the channels of a payload stand for: v[channel[k]] = sum of unit[k] z[k].

    Attributes
    ----------
    channel : Tensor, (K,), int64
        Of the float tensor, never falling.
    unit : Tensor, (K,), float64
        Below 0 for what is sent of negative values.
    """

    channel: torch.Tensor
    unit: torch.Tensor

    @classmethod
    def of(cls, step: torch.Tensor, signed: bool) -> Units:
        """Channels with these steps."""
        channel = torch.arange(len(step))
        if not signed:
            return cls(channel, step)
        return cls(channel.repeat_interleave(2), torch.stack([step, -step], 1).flatten())

    @property
    def plain(self) -> bool:
        """Whether every channel is sent once."""
        return torch.equal(self.channel, torch.arange(len(self.channel)))

    def flat(self, area: int) -> Units:
        """The same for an image of ``area`` places that was flattened."""
        channel = self.channel[:, None] * area + torch.arange(area)
        return Units(channel.flatten(), self.unit.repeat_interleave(area))

    def rows(self, per_channel: torch.Tensor) -> torch.Tensor:
        """Values of float channels, first axis, as those of payloads."""
        return per_channel[self.channel] / self.unit.reshape(-1, *[1] * (per_channel.dim() - 1))


def synapse(
    arm: Arm, source: Units, shape: tuple[int, ...], target: Units, bias: torch.Tensor | None
) -> Synapse:
    """The synapse of an arm.

    Parameters
    ----------
    arm : Arm
        In the units of the float network.
    source : Units
        What it reads, flattened if the arm reads it so.
    shape : tuple of int
        Of the payload that it reads.
    target : Units
        What it sums into.
    bias : Tensor or None, (K,)
        In units of the target.
    """
    if arm.one_to_one and source.plain and target.plain:
        one = IdentitySynapse(shape, weighted=True)
        return _filled(one, target.rows(arm.weight) * source.unit, bias)
    if arm.weight.dim() == 2 or (arm.one_to_one and len(shape) == 1):
        matrix = torch.diag(arm.weight) if arm.one_to_one else arm.weight
        weight = target.rows(matrix)[:, source.channel] * source.unit
        dense = DenseSynapse(weight.shape[1], weight.shape[0], norm=False, bias=False)
        return _filled(dense, weight, bias)
    weight, groups = arm.weight, arm.groups
    if arm.one_to_one:
        weight, groups = weight.reshape(-1, 1, 1, 1), len(weight)
    weight, groups = _columns(target.rows(weight), groups, source, arm.source.shape[0])
    conv = ConvSynapse(
        shape,
        len(weight),
        (weight.shape[2], weight.shape[3]),
        arm.stride,
        arm.padding,
        arm.dilation,
        groups,
        norm=False,
        bias=False,
    )
    return _filled(conv, weight, bias)


def _columns(
    weight: torch.Tensor, groups: int, source: Units, channels: int
) -> tuple[torch.Tensor, int]:
    """A kernel for the channels of a payload, and its groups."""
    each = channels // groups  # of the float tensor
    group = source.channel // each
    count = torch.bincount(group, minlength=groups)
    if bool((count != count[0]).any()):  # groups of several sizes: one, with zeros between them
        wide = weight.new_zeros(len(weight), channels, *weight.shape[2:])
        rows = len(weight) // groups
        for k in range(groups):
            part = slice(k * rows, (k + 1) * rows)
            wide[part, k * each : (k + 1) * each] = weight[part]
        return _columns(wide, 1, source, channels)
    members = source.channel.reshape(groups, -1) - each * torch.arange(groups)[:, None]
    units = source.unit.reshape(groups, -1)
    of_row = torch.arange(groups).repeat_interleave(len(weight) // groups)
    index = members[of_row].reshape(*members[of_row].shape, 1, 1).expand(-1, -1, *weight.shape[2:])
    return weight.gather(1, index) * units[of_row][:, :, None, None], groups


def _filled(synapse: Synapse, weight: torch.Tensor, bias: torch.Tensor | None) -> Synapse:
    synapse.weight = torch.nn.Parameter(weight.float().contiguous())
    if bias is not None:
        synapse.bias = torch.nn.Parameter(bias.float().contiguous())
    return synapse
