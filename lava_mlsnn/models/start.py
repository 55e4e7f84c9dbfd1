"""How training starts: gains and biases of BatchNorm, and V0 of every population.

An identity shortcut carries payloads s, and its branch adds x, into neurons of threshold
vth. Three things decide whether many such blocks in a row train (docs/networks.md):

* **gain**: the last BatchNorm of a branch beside an identity shortcut starts with
  ``gamma = 1 / K``, K the number of identity shortcuts of the network, so that all
  of them together add about one unit to what passes (the argument of SkipInit and Fixup).
  A branch beside a projection keeps 1: the strided 1x1 convolution sees a part of the image.
* **V0**: ``floor((s + x) / vth)`` loses a level wherever x is a little below 0. Neurons
  that fire on spikes without a weight (an identity shortcut, a pool) start at vth / 2,
  which rounds; the others have a bias for it and start at 0. Without any identity
  shortcut all neurons round: what one layer loses no path brings back.
* **bias**: the n BatchNorms of a population start with ``beta = bias * gamma * vth / n``;
  below 0, neurons start quieter, and stay so. Without shortcuts nothing could pass then.

Nothing of it changes the exported form: V0 is stored per population, the rest is trained.

Source: De and Smith (SkipInit, arXiv:2002.10444); Zhang et al. (Fixup, arXiv:1901.09321).
"""

from __future__ import annotations

import torch

from lava_mlsnn.population.population import Population
from lava_mlsnn.slayer.block import Residual
from lava_mlsnn.slayer.block.max_pool import Rectifier

__all__ = ["apply_start", "fires_on_spikes", "identity_shortcuts"]

QUIET = -0.25


def identity_shortcuts(model: torch.nn.Module) -> list[Residual]:
    """The residual blocks whose shortcut is the input itself."""
    return [
        m
        for m in model.modules()
        if isinstance(m, Residual) and m.barrier_kind != "none" and not m.projects
    ]


def fires_on_spikes(population: Population) -> bool:
    """Whether neurons take spikes through a synapse without a weight."""
    return population.neuron is not None and any(
        s.weight is None and s.in_scale == 1.0 for s in population._synapses()
    )


@torch.no_grad()
def apply_start(
    model: torch.nn.Module,
    *,
    v0: str = "auto",
    gain: float | None = None,
    bias: float | None = None,
) -> None:
    """Set a fresh network's start; nothing is drawn at random.

    Parameters
    ----------
    model : Module
        Made of blocks of :mod:`lava_mlsnn.slayer.block`.
    v0 : {"auto", "floor", "round"}
        ``auto`` is the rule above; the others leave V0 as the blocks were built.
    gain : float, optional
        Of branches beside identity shortcuts, instead of 1 / K.
    bias : float, optional
        Of neurons, in thresholds; left out: :data:`QUIET` with identity shortcuts, else 0.
    """
    blocks = identity_shortcuts(model)
    if gain is None:
        gain = 1.0 / max(1, len(blocks))
    if bias is None:
        bias = QUIET if blocks else 0.0
    for block in blocks:
        last = next(block.conv2._synapses()).norm
        assert last is not None
        last.weight.fill_(gain)
    for population in (m for m in model.modules() if isinstance(m, Population)):
        if isinstance(population, Rectifier):
            continue  # its differences of payloads are exact
        neuron = population.neuron
        norms = [s.norm for s in population._synapses() if s.norm is not None]
        for norm in norms:
            start = norm.weight * (bias / len(norms))
            norm.bias.copy_(start if neuron is None else start * neuron.threshold)
        if v0 == "auto" and neuron is not None and (not blocks or fires_on_spikes(population)):
            neuron.v0 = "round"
