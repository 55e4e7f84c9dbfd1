"""A population in training: synapses that sum into one group of neurons.

Three forwards over the same parameters:

* training: float weights rounded to the exported grid (straight-through), BatchNorm
  on the batch;
* ``float``: float weights, running statistics (the reference for accuracy loss);
* ``integer`` (the default of ``eval()``): exactly the integers of the exported
  network, carried in floating tensors that hold them without rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from lava_mlsnn.errors import ConfigError, at
from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.slayer.layout import fold_time, unfold_time
from lava_mlsnn.slayer.memo import Memo
from lava_mlsnn.slayer.quantise import Integers, Scaling, grid_weights, quantise
from lava_mlsnn.slayer.synapse import Synapse
from netx_export.settings import exact_settings
from netx_export.spec.step import multilevel_step

if TYPE_CHECKING:
    from lava_mlsnn.export.builder import Builder

__all__ = ["Population", "precision", "set_precision"]

PRECISIONS = ("integer", "float")


class _OnGrid(torch.autograd.Function):
    """Forward the rounded weight, backward straight through to the float one."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        return grid.view_as(grid)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return grads[0], None


@dataclass(frozen=True)
class _Exported:
    """Integers, and what bounds the sums they make."""

    integers: Integers
    norm: float  # largest L1 norm of a weight row, bias included
    vth: float  # largest threshold


class Population(torch.nn.Module):
    """Synapses summed into one group of neurons.

    Parameters
    ----------
    synapses : sequence of Synapse
        All with the same target shape.
    neuron : MultiLevelNeuron or None
        None: no spikes, the sum itself is the output (readout or relay).
    integrate : bool
        Without a neuron: whether the output adds up over the sample's timesteps.
    scaling : Scaling
        How integers are scaled.
    num_message_bits : int
        Without a neuron: width of the payload.

    Notes
    -----
    Input and output have shape (N, C, H, W, T) or (N, F, T). In integer precision
    the output of a population without neuron is in units of 1/scale.
    """

    def __init__(
        self,
        synapses: Sequence[Synapse],
        neuron: MultiLevelNeuron | None,
        scaling: Scaling,
        integrate: bool = False,
        num_message_bits: int = 24,
    ) -> None:
        super().__init__()
        shapes = {s.shape for s in synapses}
        if len(shapes) != 1:
            raise ConfigError(f"synapses into one population must agree in shape, got {shapes}")
        self.synapses = torch.nn.ModuleList(synapses)
        self.neuron = neuron
        self.scaling = scaling
        self.integrate = integrate
        self.num_message_bits = num_message_bits
        self.shape: tuple[int, ...] = synapses[0].shape
        self.precision = "integer"
        self.timesteps_seen = 1  # T of the last forward, what an export assumes
        # bounds of the scales from the last export, for channels of extreme gain; training
        # does without
        self.ceiling: tuple[float, ...] | None = None
        self._cache: Memo[_Exported] | None = None
        self._grid: Memo[list[torch.Tensor | None]] | None = None

    # -- integers ---------------------------------------------------------------
    @exact_settings()
    def integers(self) -> Integers:
        """The exported integers for the present parameters and running statistics."""
        folded = [s.folded() for s in self._synapses()]
        weights, bias = [w for w, _ in folded], self._bias([b for _, b in folded])
        gains = [s.gain / s.in_scale for s in self._synapses()]
        neuron = self.neuron
        theta, levels, v0 = None, 1, "floor"
        if neuron is not None:
            theta = float(neuron.threshold.detach().double())
            levels, v0 = neuron.levels, neuron.v0
        return quantise(
            weights, gains, bias, theta, levels, v0, self._scaling(), self._ceiling(bias)
        )

    def _ceiling(self, bias: torch.Tensor) -> torch.Tensor | None:
        """Upper bounds of the scales on the device of ``bias``; None: there are none."""
        if self.ceiling is None:
            return None
        return torch.tensor(self.ceiling, dtype=torch.float64, device=bias.device)

    def _bias(self, parts: Sequence[torch.Tensor | None]) -> torch.Tensor:
        """The synapses' folded biases, summed."""
        total: torch.Tensor | None = None
        for part in parts:
            if part is not None:
                total = part if total is None else total + part
        return torch.zeros(self.shape[0], device=self._device()) if total is None else total

    def _scaling(self) -> Scaling:
        scaling, neuron = self.scaling, self.neuron
        if scaling.sum_limit and neuron is not None and neuron.v0 == "round":
            return replace(  # stock Lava adds V0 to the bias
                scaling,
                bias_limit=scaling.bias_limit // 2,
                state_limit=min(scaling.state_limit, scaling.bias_limit * (neuron.levels + 1)),
            )
        return scaling

    def cached_integers(self) -> Integers:
        """:meth:`integers`, computed anew only where a parameter or statistic changed."""
        return self._exported().integers

    def _exported(self) -> _Exported:
        tensors = self._tensors()
        hooked = any(s.pre_hook_fx is not None for s in self._synapses())
        if self._cache is None or hooked or not self._cache.holds(tensors, self._options()):
            ints = self.integers()
            norm = float(ints.bias.abs().max())
            for w, e, s in zip(ints.weights, ints.exponents, self._synapses(), strict=True):
                row = w.abs().flatten(1).sum(1) if w.dim() > 1 else w.abs() * _area(s)
                norm += float(row.max()) * 2.0**e
            vth = 0.0 if ints.vth is None else float(ints.vth.max())
            self._cache = Memo(tensors, self._options(), _Exported(ints, norm, vth))
        return self._cache.value

    def _tensors(self) -> list[torch.Tensor]:
        parameters, buffers = list(self.parameters()), list(self.buffers())
        return parameters + buffers  # torch 2.3 cannot compile an unpacking

    def _options(self) -> object:
        """What else decides the integers."""
        neuron = self.neuron
        return self.scaling, self.ceiling, neuron and (neuron.levels, neuron.v0)

    def check_calibrated(self) -> None:
        """Raise CalibrationError if a BatchNorm has no statistics."""
        for index, synapse in enumerate(self._synapses()):
            with at(f"synapse {index}"):
                synapse.check_calibrated()

    # -- forward ----------------------------------------------------------------
    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        """Sum the synapses of ``xs`` (one tensor each), then the neuron."""
        if len(xs) != len(self.synapses):
            raise ConfigError(f"expected {len(self.synapses)} inputs, got {len(xs)}")
        timesteps = self.timesteps_seen = xs[0].shape[-1]
        folded = [fold_time(x) for x in xs]
        if not self.training and self.precision == "integer":
            return self._forward_integer(folded, timesteps)
        weights = self._training_weights() if self.training else [None] * len(folded)
        total: torch.Tensor | None = None
        for synapse, x, weight in zip(self._synapses(), folded, weights, strict=True):
            part = synapse(x, weight)
            total = part if total is None else total + part
        assert total is not None
        a = unfold_time(total, timesteps)
        if self.neuron is not None:
            return self.neuron(a)
        return torch.cumsum(a, -1) if self.integrate and timesteps > 1 else a

    def _training_weights(self) -> list[torch.Tensor | None]:
        """Weights on the exported grid, gradient straight through."""
        weights = [s.hooked_weight() for s in self._synapses()]
        if all(w is None for w in weights):
            return weights
        return [
            None if w is None or grid is None else _OnGrid.apply(w, grid)
            for w, grid in zip(weights, self._grids(weights), strict=True)
        ]

    @torch.no_grad()
    def _grids(self, weights: list[torch.Tensor | None]) -> list[torch.Tensor | None]:
        """:func:`grid_weights` of the present parameters."""
        synapses = list(self._synapses())
        remembers = not torch.compiler.is_compiling() and all(
            # statistics move with every batch, so that nothing could be reused
            s.pre_hook_fx is None and (s.norm is None or not s.norm.training)
            for s in synapses
        )
        remembers = remembers and all(w is None or w.is_cpu for w in weights)
        tensors = self._tensors() if remembers else []
        if remembers and self._grid is not None and self._grid.holds(tensors, self._options()):
            return self._grid.value
        gains = [s.norm_gain() for s in synapses]
        bias = self._bias([s.norm_bias(g) for s, g in zip(synapses, gains, strict=True)])
        theta, levels = None, 1
        if self.neuron is not None:
            theta, levels = self.neuron.threshold, self.neuron.levels
        grids = grid_weights(weights, gains, bias, theta, levels, self._scaling())
        self._grid = Memo(tensors, self._options(), grids) if remembers else None
        return grids

    @exact_settings()
    def _forward_integer(self, xs: list[torch.Tensor], timesteps: int) -> torch.Tensor:
        exported = self._exported()
        ints = exported.integers
        largest = max(float(x.abs().max()) if x.numel() else 0.0 for x in xs)
        sums = exported.norm * max(largest, 1.0)
        device = xs[0].device  # a relay has no tensor that would carry its device
        # float32 is exact below 2**24, but a GPU may take fewer bits for its products
        dtype = torch.float32 if device.type == "cpu" and sums < 2**24 else torch.float64
        shape = (-1, *[1] * (len(self.shape) - 1))
        total: torch.Tensor = ints.bias.to(device, dtype).reshape(shape)
        for synapse, w_int, e, x in zip(
            self._synapses(), ints.weights, ints.exponents, xs, strict=True
        ):
            arm = synapse.apply_weight(x.to(dtype), w_int.to(device, dtype))
            if device.type != "cpu":  # cuDNN may pick FFT or Winograd
                arm = arm.round()
            total = total + arm * 2.0**e
        if self.neuron is None:
            a = unfold_time(total, timesteps)
            return torch.cumsum(a.double(), -1) if self.integrate else a
        assert ints.vth is not None and ints.v0 is not None
        # a reset never takes V beyond H or vth: |H| grows by one sum a timestep at most.
        # Division is exact in float32 below 2**23, see graded_spike
        narrow = dtype == torch.float32 and timesteps * sums + 2 * exported.vth < 2**23
        wide = torch.float32 if narrow else torch.float64
        vth = ints.vth.to(device, wide).reshape(shape)
        v: torch.Tensor = ints.v0.to(device, wide).reshape(shape)
        z = torch.empty_like(total, dtype=torch.float32)
        sums_in, out = (y.unflatten(0, (timesteps, -1)) for y in (total, z))
        for t in range(timesteps):
            spikes, v = multilevel_step(v, sums_in[t].to(wide), vth, self.neuron.levels)
            out[t] = spikes
        return unfold_time(z, timesteps)

    def layers(self, builder: Builder, name: str, *sources: int) -> int:
        """Add itself to an export, one source per synapse; the index of its layer."""
        return builder.population(name, self, *sources)

    def _synapses(self) -> Iterator[Synapse]:
        for synapse in self.synapses:
            assert isinstance(synapse, Synapse)
            yield synapse

    def _device(self) -> torch.device | None:
        for tensor in chain(self.parameters(), self.buffers()):
            return tensor.device
        return None


def _area(synapse: Synapse) -> int:
    """How many source values one target value of a weightless synapse adds up."""
    return int(getattr(synapse, "area", 1))


def set_precision(model: torch.nn.Module, name: str) -> None:
    """Choose what ``model.eval()`` computes: ``"integer"`` (exported) or ``"float"``."""
    if name not in PRECISIONS:
        raise ConfigError(f"precision must be one of {PRECISIONS}, got {name!r}")
    for population in _populations(model):
        population.precision = name


@contextmanager
def precision(model: torch.nn.Module, name: str) -> Iterator[None]:
    """:func:`set_precision` for the duration of a ``with`` block."""
    before = [(p, p.precision) for p in _populations(model)]
    set_precision(model, name)
    try:
        yield
    finally:
        for population, value in before:
            population.precision = value


def _populations(model: torch.nn.Module) -> Iterator[Population]:
    return (m for m in model.modules() if isinstance(m, Population))
