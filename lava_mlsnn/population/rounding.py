"""The weights of a whole network, rounded at once for a training forward.

Every population rounds its own weights when it is called. What that costs is calls of small
operators, a population: taken together, most of them are one call for all channels of the
network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lava_mlsnn.population.hooks import WEIGHT_HOOKS
from lava_mlsnn.population.population import Population, straight_through
from lava_mlsnn.population.quantise import Scaling, grid_weights
from lava_mlsnn.population.synapses import Synapse

__all__ = ["rounded_together"]


@contextmanager
def rounded_together(model: torch.nn.Module) -> Iterator[None]:
    """The next training forward of every population inside takes weights that are ready.

    Populations whose weights a hook computes, that are not on a CPU or scaled in a special
    way round their own as before. The numbers are the same.
    """
    chosen = [p for p in _populations(model) if _is_plain(p)]
    try:
        if chosen:
            _round(chosen)
        yield
    finally:
        for population in chosen:
            population.ready = None


def _round(populations: list[Population]) -> None:
    groups: dict[Scaling, list[Population]] = {}
    for population in populations:
        groups.setdefault(population.scaling, []).append(population)
    holds = torch.is_grad_enabled()
    for scaling, group in groups.items():
        with torch.no_grad():
            sums = [p.sums([s.weight for s in p._synapses()], holds) for p in group]
            rounded = grid_weights(sums, scaling)
        for p, own, grids in zip(group, sums, rounded, strict=True):
            p.ready = straight_through(own.weights, grids)


def _populations(module: torch.nn.Module) -> Iterator[Population]:
    for child in module._modules.values():
        if isinstance(child, Population):
            yield child
        elif child is not None:
            yield from _populations(child)


def _is_plain(population: Population) -> bool:
    """Whether reading its weights early changes nothing, and nothing is remembered of them."""
    synapses = list(population._synapses())
    return (
        population.training
        and not torch.compiler.is_compiling()
        and not torch.is_inference_mode_enabled()
        and population.neuron is not None
        and not population.scaling.sum_limit
        and any(s.norm is not None and s.norm.training for s in synapses)
        and any(s._parameters.get("weight") is not None for s in synapses)
        and all(_is_bare(s) for s in synapses)
    )


def _is_bare(synapse: Synapse) -> bool:
    """Whether its weight is its parameter."""
    weight = synapse._parameters.get("weight")
    return (
        "parametrizations" not in synapse._modules
        and synapse.mask is None
        and synapse.pre_hook_fx is None
        and not any(isinstance(h, WEIGHT_HOOKS) for h in synapse._forward_pre_hooks.values())
        and (weight is None or weight.is_cpu)
    )
