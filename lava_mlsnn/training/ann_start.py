"""Start from an ANN: train ReLUs, convert them, and go on as a spiking network.

While :func:`as_relu` is on, neurons of the same network pass ``max(H / threshold, 0)``
at one timestep: no levels, no saturation, 8-bit weights as always. :func:`convert` then
measures, per group of populations, the percentile q of these activations, and scales
them by ``c = N / q`` so that the largest payload N stands for q. That is a threshold of
``q / N`` in the ANN's units. As weights, with c_in of the source and c of the target::

    with BatchNorm     gamma, beta *= c;  mean *= c_in;  var *= c_in**2
    without            weight *= c / c_in;  bias *= c

which, but for BatchNorm's epsilon, leaves the ReLU network's scores as they are; what
conversion costs is the staircase and the cut at q. Populations that a one-to-one
synapse or a pool connects pass each other's units and share one c; the image and the
scores keep c = 1, and so does what is tied to a membrane stream (MS-ResNet).

Source: data-based normalisation, Diehl et al. (IJCNN 2015), with percentiles as in
Rueckauer et al. (Front. Neurosci. 11:682, 2017).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lava_mlsnn.checks import check_number
from lava_mlsnn.errors import DataError
from lava_mlsnn.export import connections
from lava_mlsnn.neuron import MultiLevelNeuron
from lava_mlsnn.population import Population, precision
from lava_mlsnn.population.synapses import Synapse

__all__ = ["as_relu", "convert", "first_frame"]

Link = tuple[str, Population, tuple[str | tuple[str, ...], ...]]
SAMPLES = 1 << 16  # activations looked at per population and batch: quantile() has a limit


@contextmanager
def as_relu(model: torch.nn.Module, on: bool = True) -> Iterator[None]:
    """Neurons are ReLUs in training and in float precision within the block.

    Parameters
    ----------
    model : Module
        Changed within the block only.
    on : bool
        False: nothing is changed.
    """
    neurons = [m for m in model.modules() if isinstance(m, MultiLevelNeuron)]
    before = [n.relu for n in neurons]
    for neuron in neurons:
        neuron.relu = on
    try:
        yield
    finally:
        for neuron, was in zip(neurons, before, strict=True):
            neuron.relu = was


def first_frame(x: torch.Tensor, dims: int) -> torch.Tensor:
    """A batch for one timestep: images as they are, frames (N, ..., T) as their mean."""
    if x.dim() == dims + 1:
        return x.unsqueeze(-1)
    return x.mean(-1, keepdim=True)


@torch.no_grad()
def convert(
    model: torch.nn.Module, batches: Iterable[torch.Tensor], percentile: float = 99.9
) -> dict[str, float]:
    """Scale a network that was trained as ReLUs so that N payload levels cover it.

    Parameters
    ----------
    model : Module
        Blocks, trained within :func:`as_relu`.
    batches : iterable of Tensor
        Training inputs, (N, C, H, W) or (N, C, H, W, T).
    percentile : float
        Of the activations above 0, per group; the largest of a group's populations.

    Returns
    -------
    dict of str to float
        c of every population, by its name in the exported file.

    Raises
    ------
    ConfigError
        For a percentile outside 0..100.
    DataError
        If there are no batches, or one is no tensor of finite numbers.
    UnsupportedLayerError
        For a module that cannot be exported.
    """
    check_number("percentile", percentile, 0, 100, above=True)
    links = connections(model)
    largest = _percentiles(model, {n: p for n, p, _ in links}, batches, percentile)
    group = _groups(links)
    fixed = {group[""]}
    scale: dict[str, float] = {}
    for name, population, _ in links:
        if population.neuron is None and any(s.weight is not None for s in population._synapses()):
            fixed.add(group[name])  # scores and membrane streams are in units of their own
        if any(s.weight is None and s.in_scale != 1.0 for s in population._synapses()):
            fixed.add(group[name])
    for name, population, _ in links:
        q = largest.get(name, 0.0)
        if population.neuron is not None and group[name] not in fixed and q > 0:
            c = population.neuron.levels / q
            scale[group[name]] = min(c, scale.get(group[name], c))
    factors = {name: scale.get(group[name], 1.0) for name in group}
    for name, population, sources in links:
        for synapse, source in zip(population._synapses(), sources, strict=True):
            first = source if isinstance(source, str) else source[0]
            _rescale(synapse, factors[first], factors[name])
        if population.length is not None:
            population.length.forget()  # the one timestep of an ANN says nothing
    return {name: factors[name] for name, _, _ in links}


def _groups(links: list[Link]) -> dict[str, str]:
    """A representative per population: those that share units share it ("": the input)."""
    parent = {"": "", **{name: name for name, _, _ in links}}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for name, population, sources in links:
        for synapse, source in zip(population._synapses(), sources, strict=True):
            joined = (source,) if isinstance(source, str) else source
            for other in joined[1:]:  # weights of joined payloads take one factor
                parent[root(other)] = root(joined[0])
            if synapse.weight is None:
                parent[root(name)] = root(joined[0])
    return {name: root(name) for name in parent}


def _percentiles(
    model: torch.nn.Module,
    populations: dict[str, Population],
    batches: Iterable[torch.Tensor],
    percentile: float,
) -> dict[str, float]:
    """Mean over batches of a percentile of the positive activations."""
    found: dict[str, list[float]] = {}
    generator = torch.Generator().manual_seed(0)
    handles = []
    for name, population in populations.items():

        def note(module: torch.nn.Module, i: object, z: torch.Tensor, name: str = name) -> None:
            active = z[z > 0].flatten()
            if len(active) > SAMPLES:
                chosen = torch.randint(len(active), (SAMPLES,), generator=generator)
                active = active[chosen.to(active.device)]
            if len(active):
                q = torch.quantile(active.float(), percentile / 100)
                found.setdefault(name, []).append(float(q))

        handles.append(population.register_forward_hook(note))
    modes = {m: m.training for m in model.modules()}
    count = 0
    dims = len(model.config.input_shape) if hasattr(model, "config") else 3
    try:
        model.eval()
        with as_relu(model), precision(model, "float"):
            for x in batches:
                model(first_frame(_checked(x, dims), dims))
                count += 1
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    if not count:
        raise DataError("conversion needs at least one batch of training inputs, got none")
    return {name: sum(values) / len(values) for name, values in found.items()}


def _checked(x: Any, dims: int) -> torch.Tensor:
    """The batch; DataError if it is none."""
    if not isinstance(x, torch.Tensor):
        raise DataError(
            f"batches must be tensors, got {type(x).__name__}; torch.from_numpy makes one of an "
            "array"
        )
    if x.dim() not in (dims + 1, dims + 2) or not len(x):
        raise DataError(
            f"batches must have {dims + 1} axes, or {dims + 2} with T, and samples, got shape "
            f"{tuple(x.shape)}"
        )
    if not bool(torch.isfinite(x).all()):
        raise DataError("batches must be finite numbers")
    return x


def _rescale(synapse: Synapse, source: float, target: float) -> None:
    norm = synapse.norm
    if norm is not None:
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean *= source
        norm.running_var *= source**2
        norm.weight.mul_(target)
        norm.bias.mul_(target)
        return
    if synapse.weight is not None:
        synapse.weight.mul_(target / source)
    if synapse.bias is not None:
        synapse.bias.mul_(target)
