"""A price on synaptic events, so that training gives up accuracy for fewer of them.

An event that enters a synapse costs its fan-out. With z_l the payloads that enter the
weighted synapse l, n_l of them per timestep, and m_l its multiplications (so that
m_l / n_l is the mean fan-out)::

    penalty = sum_l sum(min(z_l, 1)) * m_l / n_l  /  sum_l m_l      a mean over samples

which is 1 where every neuron fires once a sample. ``min(z, 1)`` is the number of events
exactly; its gradient reaches spikes of payload 1 and the silent neurons below them, and
goes straight through the staircase. The image's own events are left out: no weight
changes them.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from lava_mlsnn.checks import check_whole
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.synapses import Synapse

__all__ = ["EventPenalty"]


class EventPenalty:
    """Watches the training forwards of a model through hooks; :meth:`remove` ends it.

    Parameters
    ----------
    model : Module
        Made of blocks of :mod:`lava_mlsnn.slayer.block`.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._terms: list[torch.Tensor] = []
        self._synapses = 0.0
        weighted = [
            s
            for p in model.modules()
            if isinstance(p, Population)
            for s in p._synapses()
            if s.weight is not None
        ]
        self._handles = [s.register_forward_pre_hook(self._note) for s in weighted]

    def _note(self, synapse: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0]
        if not (synapse.training and x.requires_grad):
            return
        assert isinstance(synapse, Synapse)
        work = synapse.products
        self._synapses += work
        # not clamp: since torch 2.14 it has no gradient at its ends
        events = x.where(x <= 1, torch.ones_like(x))
        total = events.sum(dtype=torch.promote_types(x.dtype, torch.float32))
        self._terms.append(total * (work / math.prod(synapse.in_shape)))

    def take(self, samples: int) -> torch.Tensor:
        """The penalty of the forward since the last call, for a batch of so many samples.

        ConfigError for less than one sample.
        """
        check_whole("samples", samples, 1, 1 << 62)
        terms, synapses = self._terms, self._synapses
        self._terms, self._synapses = [], 0.0
        if not terms:
            return torch.zeros(())
        return torch.stack(terms).sum() / (synapses * samples)

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()
