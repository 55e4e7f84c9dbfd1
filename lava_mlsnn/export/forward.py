"""Reads what a model's ``forward`` computes, as uses of blocks.

The forward runs once in ``eval()`` on :class:`~lava_mlsnn.export.traced.Traced` tensors.
Modules with a method ``layers(builder, name, source)`` (populations, ``Input``,
``Flatten``, ``Output``, or a block of a user) are the leaves: they are noted, not run.
Everything between them runs as it is written.

Why not ``torch.fx``: its proxies have no shapes, so that a forward with ``x.dim()`` or
``*x.shape`` cannot be traced, and it would read a reshape or an index by its name. Why not
a record of one real forward: a branch on values would be taken for the only one, and the
blocks would need statistics. Here shapes are real, and a look at a value is refused.

What is exact, besides blocks in any order, several uses of one, and branches:

* elements moved without a change: any indexing, reshape or permutation after which a block
  gets the whole payload of one block, (N, ..., T), or that flattened to (N, F, T);
* channels of payloads joined, cut or in another order (:mod:`lava_mlsnn.export.joins`), and
  elements of flat ones: a synapse for each of the sources;
* before ``Input``: adding a T axis, a static sample repeated over it;
* ``a + b`` of two spike payloads of one shape, sums of spikes over H and W: a relay population;
* dropout that is off, identity, ReLU and clips whose range holds every payload, casts to
  float32 or float64, a factor of 1, adding 0;
* at the end: the last timestep alone, and division or multiplication by positive numbers.

If forward returns a tuple or list, its first tensor is the result; others (event rates)
are ignored unless they are payloads of blocks that the result does not need.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from lava_mlsnn.export.graph import DATA, Graph, Offence, build, refuse, role_of
from lava_mlsnn.export.modules import asked, cannot, inner, opaque
from lava_mlsnn.export.tracer import SAMPLES, Tracer
from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.population.hooks import check_hooks
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.synapses import Synapse
from netx_export.builder import Builder
from netx_export.errors import UnsupportedLayerError

__all__ = ["trace", "trace_block"]

STEPS = 3  # of a block alone: timesteps that change places are seen


def trace(model: torch.nn.Module, timesteps: int) -> Graph:
    """What the forward of a model computes.

    Parameters
    ----------
    model : Module
        With a ``block.Input`` and a forward that takes (N, ...), (N, ..., T) or both.
    timesteps : int
        T of the samples that the forward gets.

    Returns
    -------
    Graph
        Uses of blocks, in the order in which they are called.

    Raises
    ------
    UnsupportedLayerError
        With every place that no exported network can follow.
    """
    root = inner(model)
    if "forward" not in vars(root) and type(root).forward is torch.nn.Module.forward:
        raise UnsupportedLayerError(
            f"a model must have a forward, which says in which order its blocks compute; "
            f"{type(root).__name__} has none; use torch.nn.Sequential or write one"
        )
    if isinstance(root, torch.jit.ScriptModule):
        raise UnsupportedLayerError(
            "a scripted or traced module cannot be followed; export the model that it was made of"
        )
    entries = [m for m in root.modules() if role_of(m) == "input"]
    if not entries:
        raise refuse(_without_input(root))
    shape = entries[0].shape
    timed = Tracer(root, (SAMPLES, *shape, timesteps), timesteps)
    static = Tracer(root, (SAMPLES, *shape), timesteps)
    graphs = timed.follow(), static.follow()
    for tracer, graph in zip((timed, static), graphs, strict=True):
        if graph is None and tracer.error is None:  # this form is accepted
            raise refuse(tracer.problems())
    found = graphs[0] or graphs[1]
    if found is None:
        raise refuse(max(timed, static, key=lambda t: len(t.nodes)).problems())
    if graphs[0] is not None and graphs[1] is not None and not graphs[0].same(graphs[1]):
        raise UnsupportedLayerError(
            "the forward computes for static samples (N, ...) something else than for (N, ..., T); "
            "make it the same, or take one form alone"
        )
    return replace(found, timed=graphs[0] is not None, static=graphs[1] is not None)


def trace_block(block: torch.nn.Module, builder: Builder, name: str) -> Builder:
    """The layers of one block alone, whose source is -1; raises as :func:`trace`."""
    if asked(block):
        check_hooks(block, "the block", "layers")  # nothing runs them here
        block.layers(builder, name, DATA)  # type: ignore[operator]
        return builder
    first = next((m for m in block.modules() if isinstance(m, Population)), None)
    if first is None:
        raise refuse([Offence(f"layer {name!r}: {type(block).__name__}", cannot(block))])
    shape = next(first._synapses()).in_shape
    tracer = Tracer(block, (SAMPLES, *shape, STEPS), STEPS)
    tracer.alone = True
    graph = tracer.follow()
    if graph is None:
        raise refuse(tracer.problems())
    if graph.last or graph.factor != 1:
        raise UnsupportedLayerError(
            "a block by itself must send what its last neurons send, not a part or a multiple "
            "of them"
        )
    return build(graph, builder)


def _without_input(root: torch.nn.Module) -> list[Offence]:
    """Why a model of other modules is none of ours."""
    missing = Offence(
        f"the model ({type(root).__name__})",
        "must begin with a block.Input, such as block.Input((C, H, W), levels=16, gain=16.0)",
    )
    modules = list(root.named_modules())
    if not any(asked(m) or isinstance(m, MultiLevelNeuron) for _, m in modules):
        why = (
            "has no block of lava_mlsnn.slayer; where it is a trained float network, "
            "lava_mlsnn.convert(model, samples, levels=15) makes one of blocks of it"
        )
        return [Offence(missing.what, why)]
    blocks = [f"{n}." for n, m in modules if asked(m) or isinstance(m, (Synapse, MultiLevelNeuron))]
    foreign = [
        Offence(f"layer {name!r}: {type(module).__name__}", cannot(module))
        for name, module in modules
        if opaque(module) and not f"{name}.".startswith(tuple(blocks))
    ]
    return [*foreign, missing]
