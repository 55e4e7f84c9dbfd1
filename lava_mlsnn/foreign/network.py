"""From the uses of another library's layers to a network of integers, and back to its floats."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lava_mlsnn.checks import check_whole
from lava_mlsnn.errors import CalibrationError, ConfigError, UnsupportedLayerError, at
from lava_mlsnn.export.graph import DATA, Graph, Node, View
from lava_mlsnn.export.modules import inner
from lava_mlsnn.foreign.grid import Grid, to_grid
from lava_mlsnn.foreign.neurons import Rule, copied, set_threshold
from lava_mlsnn.foreign.tracing import NORMS, SYNAPSES, Add, follow
from netx_export.builder import Builder
from netx_export.exact_settings import exact_settings
from netx_export.spec import (
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    Synapse,
)
from netx_export.spec.limits import MAX_TIMESTEPS
from netx_export.spec.ranges import check_ranges, payload_bounds, signed_bits
from netx_export.spec.synapses.conv_transpose import swapped
from netx_export.spec.widths import STATE_MAX

__all__ = ["from_spiking", "on_grid"]


def from_spiking(
    module: torch.nn.Module,
    input: Input,
    timesteps: int,
    provenance: dict[str, Any] | None = None,
) -> NetworkSpec:
    """The integer network of a spiking network of SpikingJelly, snnTorch or sinabs.

    Parameters
    ----------
    module : Module
        Its forward computes one timestep of (N, ...), or all of (T, N, ...) or (N, T, ...), as
        its neurons do. :mod:`lava_mlsnn.foreign.neurons` says which neurons are taken; beside
        them Conv2d, ConvTranspose2d, Linear, BatchNorm behind one of these, average pooling of
        2**n spikes, flatten, dropout, and sums of spikes or of what layers send to one neuron.
    input : Input
        What enters: payloads, of which 1 in their network is ``gain``, a power of two.
    timesteps : int
        T of one sample.
    provenance : dict, optional
        Anything JSON-able that says where the network comes from.

    Returns
    -------
    NetworkSpec
        Layers are called like its modules. The last one sums over T what the last layer
        sends: scores of a layer without neurons, else spikes.

    Raises
    ------
    UnsupportedLayerError
        With every place that has no exact counterpart, and why.
    CalibrationError
        If a BatchNorm has seen no batch.
    RangeError
        If a sum can leave 24 bits, or a parameter fits no integer.

    Notes
    -----
    Weights are rounded to 8 bits, so that the integers are those of :func:`on_grid`, whose
    spikes in their own library are equal, and not those of ``module``.
    """
    network = _Network(module, input, timesteps)
    spec = NetworkSpec(tuple(network.builder.layers), network.timesteps, provenance or {})
    check_ranges(spec)
    return spec


def on_grid(module: torch.nn.Module, input: Input, timesteps: int) -> torch.nn.Module:
    """A copy of a spiking network with the numbers that :func:`from_spiking` exports.

    Weights, thresholds and biases are whole numbers of a power of two, and BatchNorm is folded
    into the layer before it. Run in its own library in ``eval()`` and float32, on payloads
    divided by the gain, it sends the spikes of the exported network in every layer and timestep:
    so its accuracy there is that of the export. Parameters and errors as :func:`from_spiking`,
    whose result is the same for the copy.

    Parameters
    ----------
    module, input, timesteps
        As in :func:`from_spiking`.

    Returns
    -------
    Module
        In ``eval()``.
    """
    twin = copied(module)
    network = _Network(twin, input, timesteps)
    with torch.no_grad():
        for write in network.writes:
            write()
    return twin.eval()


@dataclass(frozen=True)
class _Spikes:
    """What a layer sends, and what one of it is worth in the other library."""

    index: int
    unit: float


@dataclass(frozen=True)
class _Term:
    """One synapse; without a module it is one-to-one."""

    source: _Spikes
    node: Node
    module: Any = None
    norm: Any = None


@dataclass(frozen=True)
class _Sum:
    """What goes into neurons: each of these once."""

    terms: tuple[_Term, ...]


class _Network:
    """Layers so far, and what has to be written back."""

    def __init__(self, module: torch.nn.Module, input: Input, timesteps: int) -> None:
        if not isinstance(input, Input):
            raise ConfigError(
                f"input must be a netx_export.Input, such as Input((2, 34, 34), levels=1), "
                f"got {type(input).__name__}"
            )
        if math.frexp(input.gain)[0] != 0.5:
            raise ConfigError(
                f"the gain of the input must be a power of two, so that weights stay exact floats, "
                f"got {input.gain:g}"
            )
        self.timesteps = check_whole("timesteps", timesteps, 1, MAX_TIMESTEPS)
        self.graph, self.rules = follow(module, input.shape, self.timesteps)
        self.modules = {id(m): name for name, m in inner(module).named_modules()}
        self.writes: list[Callable[[], None]] = []
        self.builder = Builder()
        self.bounds: list[Any] = []
        self.names: set[str] = set()
        self.add(input)
        values: dict[int, _Spikes | _Sum] = {DATA: _Spikes(0, 1 / input.gain)}
        self.used: set[int] = set()
        with exact_settings():
            for index, node in enumerate(self.graph.nodes):
                if index in self.graph.needed:
                    with at(f"layer {node.name!r}"):
                        values[index] = self.node(node, [values[s] for s in node.sources])
            self.end(values[self.graph.output], self.graph)

    # -- parts --------------------------------------------------------------------
    def add(self, layer: Any) -> int:
        self.bounds.append(
            payload_bounds(layer, [self.bounds[s] for s in layer.sources], self.timesteps)
        )
        self.names.add(layer.name)
        return self.builder.add(layer)

    def name(self, wanted: str) -> str:
        name, k = wanted, 1
        while name in self.names:
            name, k = f"{wanted}{k + 1}", k + 1
        return name

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.builder.layers[index].shape)

    def relay(self, name: str, shape: tuple[int, ...], synapses: tuple[Synapse, ...]) -> int:
        """A population that passes its sum on, as narrow as it can be."""
        layer = Population(name, shape, synapses, Readout(False, 24))
        low, high = payload_bounds(layer, [self.bounds[s] for s in layer.sources], self.timesteps)
        need = signed_bits((int(low.min()), int(high.max())))
        bits = next((b for b in (8, 16) if b >= need), 24)
        return self.add(Population(name, shape, synapses, Readout(False, bits)))

    def term(self, value: _Spikes | _Sum, node: Node) -> _Sum:
        if isinstance(value, _Spikes):
            return _Sum((_Term(value, node),))
        if id(value) in self.used:
            raise UnsupportedLayerError(
                "gets sums that another layer gets too; only spikes can go to several"
            )
        self.used.add(id(value))
        return value

    # -- nodes --------------------------------------------------------------------
    def node(self, node: Node, values: list[_Spikes | _Sum]) -> _Spikes | _Sum:
        module: Any = node.module
        if isinstance(module, Add):
            return self.sum(node, values)
        (value,) = values
        rule = self.rules.get(self.modules.get(id(module), ""))
        if rule is not None:
            return self.neurons(node, self.term(value, node).terms, rule)
        if isinstance(module, NORMS):
            if isinstance(value, _Spikes) or len(value.terms) > 1 or value.terms[0].norm:
                raise UnsupportedLayerError("a BatchNorm must come behind a Conv2d or Linear")
            term = self.term(value, node).terms[0]
            if term.module is None:
                raise UnsupportedLayerError("a BatchNorm must come behind a Conv2d or Linear")
            return _Sum((_Term(term.source, term.node, term.module, module),))
        if not isinstance(value, _Spikes):
            raise UnsupportedLayerError("must get spikes, but gets sums; put neurons before it")
        if isinstance(module, View):
            name = self.name(node.name)
            return _Spikes(self.add(Flatten(value.index, node.shape, name)), value.unit)
        if isinstance(module, SYNAPSES):
            return _Sum((_Term(value, node, module),))
        return self.pool(node, value)

    def sum(self, node: Node, values: list[_Spikes | _Sum]) -> _Spikes | _Sum:
        a, b = values
        if isinstance(a, _Spikes) and isinstance(b, _Spikes):
            unit = min(a.unit, b.unit)
            size = self.shape(a.index)[0]
            parts = [(v.index, _whole([v.unit / unit] * size)) for v in (a, b)]
            synapses = tuple(Identity(s, weight) for s, weight in parts)
            return _Spikes(self.relay(self.name(node.name), node.shape, synapses), unit)
        return _Sum((*self.term(a, node).terms, *self.term(b, node).terms))

    def pool(self, node: Node, value: _Spikes) -> _Spikes:
        module: Any = node.module
        shape = self.shape(value.index)
        if isinstance(module, torch.nn.AdaptiveAvgPool2d):
            kernel = stride = shape[1] // node.shape[1], shape[2] // node.shape[2]
            even = shape[1] % node.shape[1] == shape[2] % node.shape[2] == 0
            padding, ceil, area = (0, 0), not even, math.prod(kernel)
        else:
            kernel, padding = _pair(module.kernel_size), _pair(getattr(module, "padding", 0))
            stride = _pair(module.stride or module.kernel_size)
            ceil, area = getattr(module, "ceil_mode", False), 1
            if isinstance(module, torch.nn.AvgPool2d):
                area = module.divisor_override or math.prod(kernel)
        if any(padding) or ceil:
            raise UnsupportedLayerError("a pooling must have windows of one size, inside its input")
        if math.frexp(area)[0] != 0.5:
            raise UnsupportedLayerError(
                f"an average of {area} spikes is no exact float; pool over a power of two, or sum "
                "(divisor_override=1)"
            )
        ones = np.ones((shape[0], 1, *kernel), np.int64)
        synapse = Conv(value.index, ones, 0, stride, groups=shape[0])
        return _Spikes(self.relay(self.name(node.name), node.shape, (synapse,)), value.unit / area)

    def neurons(self, node: Node, terms: tuple[_Term, ...], rule: Rule) -> _Spikes:
        grid, layer = self.population(self.name(node.name), node.shape, terms, rule)
        vth = _whole(grid.vth)
        levels = rule.levels
        if levels == STATE_MAX:  # as many spikes as can come, and no more
            free = Population(
                layer.name,
                layer.shape,
                layer.synapses,
                MultiLevel(levels, vth, rule.start(vth)),
                layer.bias,
            )
            sources = [self.bounds[s] for s in free.sources]
            levels = max(int(payload_bounds(free, sources, self.timesteps)[1].max()), 1)
        neuron = MultiLevel(levels, vth, rule.start(vth))
        self.writes.append(lambda: set_threshold(node.module, grid.theta))
        index = self.add(
            Population(layer.name, layer.shape, layer.synapses, neuron, layer.bias, layer.scale)
        )
        return _Spikes(index, rule.unit)

    def end(self, value: _Spikes | _Sum, graph: Graph) -> None:
        node = graph.nodes[graph.output]
        if isinstance(value, _Spikes):
            size = self.shape(value.index)
            counts = (Identity(value.index, np.ones(size[0], np.int64)),)
            self.add(Population(self.name(f"{node.name}.count"), size, counts, Readout()))
            return
        name = self.name(value.terms[0].node.name)
        self.add(self.population(name, node.shape, value.terms, None)[1])

    # -- numbers ------------------------------------------------------------------
    def population(
        self, name: str, shape: tuple[int, ...], terms: tuple[_Term, ...], rule: Rule | None
    ) -> tuple[Grid, Population]:
        """Its integers, with a readout in place of the neurons."""
        if len(shape) not in (1, 3):
            raise UnsupportedLayerError(f"neurons must be of shape (C, H, W) or (F,), got {shape}")
        folded = [_folded(term) for term in terms]
        bias = torch.zeros(shape[0], dtype=torch.float64)
        for _, part in folded:
            bias = bias if part is None else bias + part
        grid = to_grid([w for w, _ in folded], [t.source.unit for t in terms], bias, rule)
        weighted = [t for t in terms if t.module is not None]
        extra = torch.zeros(())
        if rule is not None and rule.between:
            if not weighted:
                raise UnsupportedLayerError(
                    "rounds halves to even, so that a layer with a bias must come before it"
                )
            # sums of T biases stay between two whole numbers
            extra = torch.tensor(2.0 ** -math.ceil(math.log2(2 * self.timesteps + 1)))
        elif not weighted and bool(grid.bias.any()):
            raise AssertionError("a bias without a layer")
        synapses: list[Synapse] = []
        for k, term in enumerate(terms):
            weight, gain, e = grid.weights[k], grid.gains[k], grid.exponents[k]
            if weight is None or gain is not None:
                assert gain is not None
                synapses.append(Identity(term.source.index, _whole(gain), e))
                continue
            synapses.append(_synapse(term, _whole(weight), e))
            carries = (grid.bias + extra) * 2.0**-grid.k if term is weighted[0] else None
            scale = 2.0 ** (e - grid.k) / term.source.unit
            floats = weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
            self.writes.append(lambda t=term, w=floats, b=carries: _write(t, w, b))  # type: ignore[misc]
        whole = _whole(grid.bias)
        scale = (2.0**grid.k).numpy()
        return grid, Population(
            name,
            shape,
            tuple(synapses),
            Readout(),
            whole if whole.any() else None,
            scale[:1] if np.all(scale == scale[0]) else scale,
        )


def _whole(values: Any) -> np.ndarray:
    return np.asarray(values, np.float64).astype(np.int64)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _folded(term: _Term) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Weight, first axis the output channel, and bias, in float64, with BatchNorm."""
    module, norm = term.module, term.norm
    if module is None:
        return None, None
    weight = _numbers(module.weight)
    if isinstance(module, torch.nn.ConvTranspose2d):
        weight = swapped(weight, module.groups)
    bias = None if module.bias is None else _numbers(module.bias)
    if norm is None:
        return weight, bias
    if norm.running_mean is None:
        raise UnsupportedLayerError("a BatchNorm without running statistics has nothing to fold")
    if norm.num_batches_tracked is not None and int(norm.num_batches_tracked) == 0:
        raise CalibrationError("its BatchNorm has seen no batch; run some in model.train() first")
    gain = 1 / torch.sqrt(_numbers(norm.running_var) + norm.eps)
    gain = gain if norm.weight is None else gain * _numbers(norm.weight)
    shift = -gain * _numbers(norm.running_mean)
    shift = shift if norm.bias is None else shift + _numbers(norm.bias)
    shift = shift if bias is None else shift + gain * bias
    return weight * gain.reshape(-1, *[1] * (weight.dim() - 1)), shift


def _numbers(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().double().cpu()


def _synapse(term: _Term, weight: np.ndarray, exponent: int) -> Synapse:
    module, source = term.module, term.source.index
    if isinstance(module, torch.nn.Linear):
        return Dense(source, weight, exponent)
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise UnsupportedLayerError(
            'a convolution must be padded with a number of zeros, not by padding_mode or "same"'
        )
    window = (_pair(module.stride), _pair(module.padding), _pair(module.dilation), module.groups)
    if isinstance(module, torch.nn.ConvTranspose2d):
        weight = swapped(weight, module.groups)
        return ConvTranspose(source, weight, exponent, *window, _pair(module.output_padding))
    return Conv(source, weight, exponent, *window)


def _write(term: _Term, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    """Give a layer its numbers, and let the BatchNorm behind it do nothing."""
    module, norm = term.module, term.norm
    if isinstance(module, torch.nn.ConvTranspose2d):
        weight = swapped(weight, module.groups)
    module.weight.copy_(weight)
    if module.bias is not None:
        module.bias.zero_()
    if bias is not None and bool(bias.any()):
        like = module.weight
        if module.bias is None:
            module.bias = torch.nn.Parameter(like.new_zeros(len(bias)))
        module.bias.copy_(bias)
    if norm is not None:
        norm.eps = 0.0
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0)
        if norm.weight is not None:
            norm.weight.fill_(1.0)
        if norm.bias is not None:
            norm.bias.zero_()
