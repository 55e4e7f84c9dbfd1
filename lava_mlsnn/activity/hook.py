"""What a training model sends in its own forward, through hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from lava_mlsnn.export import Graph, inner, trace
from lava_mlsnn.export.graph import Join, build
from lava_mlsnn.population.population import Population
from lava_mlsnn.slayer import precision
from lava_mlsnn.slayer.block import Input
from netx_export.builder import Links
from netx_export.errors import DataError, ParityError
from netx_export.spec import NetworkSpec
from netx_export.spec import Population as PopulationSpec

__all__ = ["integer_payloads", "model_batches", "training_batches"]

BLOCKWISE = (
    "a file written block by block has other names: compare with to_spec(model) or export_model"
)
BATCH = 32  # samples at a time: bounds memory

Layers = dict[str, np.ndarray]


@contextmanager
def integer_payloads(
    model: torch.nn.Module,
    spec: NetworkSpec,
    each: Callable[[Layers, Any], None],
    graph: Graph | None = None,
) -> Iterator[None]:
    """Give every forward's payloads and result to ``each`` inside the ``with`` block.

    Parameters
    ----------
    model : Module
        The model that ``spec`` was made of; in ``eval()`` and integer precision inside
        the block, and as it was behind it.
    spec : NetworkSpec
        Which layers there are.
    each : callable
        Called as ``each(layers, result)`` at the end of a forward, with (N, ..., T) int64
        of the input and every population by name, and what forward returns. Sums that
        the forward adds itself are those of their captured sources.
    graph : Graph, optional
        What forward computes, if it is known already.

    Raises
    ------
    ParityError
        If model and network have other layers, a population sends fractions, or a
        forward computes other blocks than when it was read.
    """
    graph = graph or trace(model, spec.timesteps)
    uses = _uses(graph, spec)
    count = dict.fromkeys(uses, 0)
    layers: Layers = {}

    def keep(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        names, use = uses[module], count[module]
        count[module] += 1
        if use >= len(names):
            if names[0] != spec.input.name:  # which always gives the same
                raise ParityError("the model computed a block more often than was read", names[0])
            use = 0
        values = output[0] if isinstance(output, tuple) else output
        units = module.units if isinstance(module, Population) else 1.0
        whole = values.detach().double().cpu().numpy() * units
        layers[names[use]] = np.rint(whole).astype(np.int64)
        if not np.array_equal(layers[names[use]], whole):
            raise ParityError("the training model sends values that are not integers", names[use])

    def begin(module: torch.nn.Module, inputs: Any) -> None:
        layers.clear()
        count.update(dict.fromkeys(uses, 0))

    def end(module: torch.nn.Module, inputs: Any, result: Any) -> None:
        for used, names in uses.items():
            if count[used] < len(names):
                raise ParityError("the model did not compute a block that was read", names[-1])
        _add_sums(graph, layers)
        each({name: layers[name] for name in wanted if name in layers}, result)
        layers.clear()

    wanted = {spec.input.name, *(p.name for _, p in spec.populations)}
    root = inner(model)
    handles = [module.register_forward_hook(keep) for module in uses]
    handles += [root.register_forward_pre_hook(begin), root.register_forward_hook(end)]
    modes = {m: m.training for m in model.modules()}
    for m in modes:
        m.training = False
    try:
        with torch.no_grad(), precision(model, "integer"):
            yield
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode


def _uses(graph: Graph, spec: NetworkSpec) -> dict[torch.nn.Module, list[str]]:
    """The layer names of every hooked module, in the order of its calls."""
    needed, everything = Links(), Links()
    build(graph, needed)
    build(graph, everything, everything=True)
    found = {name for name, _, _ in needed.links}
    found |= {layer.name for layer in needed.layers if isinstance(layer, PopulationSpec)}
    names = {p.name for _, p in spec.populations}
    if found != names:
        other = sorted(found ^ names)
        bare = spec.provenance.get("source") == "lava-dl"  # a file without names
        raise ParityError(
            f"model and file must have the same layers, these are in one only: {other}"
            + ("; " + BLOCKWISE if bare else "")
        )
    made = {id(node.module) for node in graph.nodes if node.made}
    uses: dict[torch.nn.Module, list[str]] = {}
    for node in graph.nodes:
        if isinstance(node.module, Input):
            uses[node.module] = [node.name]
    for name, population, _ in everything.links:
        if id(population) not in made:
            uses.setdefault(population, []).append(name)
    return uses


def _add_sums(graph: Graph, layers: Layers) -> None:
    """Payloads of the relays that stand for an addition in the forward."""
    sent: dict[int, np.ndarray] = {}
    for index, node in enumerate(graph.nodes):
        if node.name in layers:
            sent[index] = layers[node.name]
        elif all(s in sent for s in node.sources):
            arms = [sent[s] for s in node.sources]
            if isinstance(node.module, Join):
                sent[index] = node.module.join(arms)
            elif node.made and isinstance(node.module, Population):
                layers[node.name] = sent[index] = _relayed(node.module, arms)
            elif len(arms) == 1 and len(node.shape) == 1:  # a flatten
                sent[index] = arms[0].reshape(len(arms[0]), -1, arms[0].shape[-1])


def _relayed(relay: Population, arms: list[np.ndarray]) -> np.ndarray:
    with torch.no_grad():
        total = relay(*(torch.from_numpy(arm).double() for arm in arms))
    return total.numpy().astype(np.int64)


def model_batches(
    model: torch.nn.Module, spec: NetworkSpec, data: np.ndarray, batch_size: int = BATCH
) -> Iterator[tuple[Layers, np.ndarray]]:
    """Payloads of every layer, and the result of ``model(x)``, batch by batch.

    Parameters
    ----------
    model, spec
        As above.
    data : ndarray, (N, C, H, W) or (N, F), or with a last axis T
        Samples; rounded as ``encode`` does.
    batch_size : int
        Samples at a time.

    Yields
    ------
    layers : dict of str to ndarray
        As above.
    result : ndarray of float64, (N, ..., T), or (N, ...) if forward gives the last timestep
        ``model(x)`` in integers of the last layer: divided by the factor of the forward,
        times the scale of ``block.Output``. Exact up to the rounding of float32.

    Raises
    ------
    DataError
        If the samples have a T axis that forward does not take.
    """
    graph, root = trace(model, spec.timesteps), inner(model)
    found: list[tuple[Layers, Any]] = []
    device = next((p.device for p in model.parameters()), None)
    unit = float(getattr(graph.nodes[graph.output].module, "units", 1.0))
    for start in range(0, len(data), batch_size):
        x = torch.from_numpy(np.asarray(data[start : start + batch_size], np.float64)).to(device)
        if x.dim() == len(spec.input.shape) + 1:
            if graph.timed:
                x = x.unsqueeze(-1).expand(*x.shape, spec.timesteps)
        elif not graph.timed:
            raise DataError("this model's forward takes samples without a T axis")
        with integer_payloads(model, spec, lambda *both: found.append(both), graph):
            root(x)  # inside a DataParallel or a compiled model: hooks do not work on these
        layers, result = found.pop()
        result = result if graph.item is None else result[graph.item]
        yield layers, result.detach().double().cpu().numpy() / graph.factor * unit


def training_batches(
    model: torch.nn.Module, spec: NetworkSpec, data: np.ndarray, batch_size: int = BATCH
) -> Iterator[Layers]:
    """The payloads of :func:`model_batches` alone."""
    for layers, _ in model_batches(model, spec, data, batch_size):
        yield layers
