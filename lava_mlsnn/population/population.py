"""A population in training: synapses that sum into one group of neurons.

Three forwards over the same parameters:

* training: float weights rounded to the exported grid (straight-through), BatchNorm
  on the batch;
* ``float``: float weights, running statistics (the reference for accuracy loss);
* ``integer`` (the default of ``eval()``): exactly the integers of the exported
  network, carried in floating tensors that hold them without rounding. Where a gradient
  is wanted (a frozen block) it passes as in training, with the running statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch

from lava_mlsnn.errors import ConfigError, UnsupportedLayerError, at
from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.population.affine import affine_current, all_affine
from lava_mlsnn.population.convolved import note_steps, steps_of
from lava_mlsnn.population.exported import Exported
from lava_mlsnn.population.hooks import call_with_weight, check_hooks, evaluating
from lava_mlsnn.population.layout import fold_time, unfold_time
from lava_mlsnn.population.memo import Memo
from lava_mlsnn.population.quantise import Integers, Scaling, Sums, grid_weights, quantise
from lava_mlsnn.population.sample_length import SampleLength
from lava_mlsnn.population.synapses import Statistics, Synapse
from netx_export.builder import Builder
from netx_export.exact_settings import exact_settings
from netx_export.spec.neurons.step import initial_state, multilevel_step

__all__ = ["Population"]


class _StraightThrough(torch.autograd.Function):
    """Forward the second (a rounded weight, integer sums), backward to the first."""

    @staticmethod
    def forward(ctx: Any, soft: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
        return exact.view_as(exact)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return grads[0], None


@dataclass(frozen=True)
class _Held:
    """Integers, and what bounds the sums they make."""

    integers: Integers
    norm: float  # largest L1 norm of a weight row, bias included
    vth: float  # largest threshold


class Population(Exported):
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
    what a readout adds up is in units of 1/scale, and membrane streams are in units of
    training: ``units`` times them are the integers that are sent.
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
        shapes = {s.shape for s in synapses} if len(synapses) != 1 else {()}
        if len(shapes) != 1:
            raise ConfigError(f"synapses into one population must agree in shape, got {shapes}")
        self.synapses = torch.nn.ModuleList(synapses)
        self.neuron = neuron
        self.scaling = scaling
        self.integrate = integrate
        self.num_message_bits = num_message_bits
        self.precision = "integer"
        # bounds of the scales from the last export, for channels of extreme gain; training
        # does without
        self.ceiling: tuple[float, ...] | None = None
        keeps_state = neuron is not None or integrate
        self.length = SampleLength() if keeps_state else None
        self._cache: Memo[_Held] | None = None
        self._grid: Memo[list[torch.Tensor | None]] | None = None
        self._held: tuple[object, list[Statistics | None]] | None = None
        # weights for the next forward, where they were rounded with those of others
        self.ready: list[torch.Tensor | None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Copies and files hold no remembered results."""
        state = self.__dict__.copy()
        forgotten = dict.fromkeys(("_cache", "_grid", "_held", "ready"))
        return {**state, **forgotten}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the neurons; ConfigError where the first source decides it and none came yet."""
        return next(self._synapses()).shape

    @property
    def units(self) -> float:
        """Integers per 1 that a forward in integer precision returns, a power of two."""
        stream = self.neuron is None and not self.integrate and self.scaling.mode == "fixed"
        return self.scaling.fixed if stream else 1.0

    @property
    def timesteps_seen(self) -> int:
        """T of its samples as far as it knows, else 0; see :class:`SampleLength`."""
        return 0 if self.length is None else self.length.known

    # -- integers ---------------------------------------------------------------
    @exact_settings()
    def integers(self) -> Integers:
        """The exported integers for the present parameters and running statistics."""
        return self._integers(self._exported_weights())

    def folded_weights(self) -> list[torch.Tensor | None]:
        """Float weights that become integers, BatchNorm folded in; None for one-to-one ones."""
        pairs = zip(self._synapses(), self._exported_weights(), strict=True)
        return [s.folded(w)[0] for s, w in pairs]

    def _exported_weights(self) -> list[torch.Tensor | None]:
        with evaluating(self) if self.training else nullcontext():
            return [s.hooked_weight() for s in self._synapses()]

    def _integers(self, present: Sequence[torch.Tensor | None]) -> Integers:
        folded = [s.folded(w) for s, w in zip(self._synapses(), present, strict=True)]
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

    @exact_settings()
    def cached_integers(self) -> Integers:
        """:meth:`integers`, computed anew only where a parameter or statistic changed."""
        return self._exported().integers

    def _exported(self) -> _Held:
        weights = self._exported_weights()
        known = [w for w in weights if w is not None]
        # hooks may compute a weight of anything: its values are what counts
        tensors = known + [t for t in self._tensors() if not any(t is w for w in known)]
        if self._cache is None or not self._cache.holds(tensors, self._options()):
            ints = self._integers(weights)
            norm = float(ints.bias.abs().max())
            for w, e, s in zip(ints.weights, ints.exponents, self._synapses(), strict=True):
                row = w.abs().flatten(1).sum(1) if w.dim() > 1 else w.abs() * _area(s)
                norm += float(row.max()) * 2.0**e
            vth = 0.0 if ints.vth is None else float(ints.vth.max())
            self._cache = Memo(tensors, self._options(), _Held(ints, norm, vth))
        return self._cache.value

    def _tensors(self) -> list[torch.Tensor]:
        """What the integers follow from; not T."""
        parts = [p for p in (self.synapses, self.neuron) if p is not None]
        return [t for p in parts for t in chain(p.parameters(), p.buffers())]

    def _options(self) -> object:
        """What else decides the integers."""
        neuron = self.neuron
        return self.scaling, self.ceiling, neuron and (neuron.levels, neuron.v0)

    def check_exportable(self) -> None:
        """Raise CalibrationError if a BatchNorm has no statistics.

        UnsupportedLayerError for a norm or a hook that has no integer form.
        """
        if self.neuron is not None:
            check_hooks(self.neuron, "the neuron", "threshold")
            initial_state(1.0, self.neuron.v0)  # checks the word
            if self.neuron.relu:
                raise UnsupportedLayerError(
                    "the neurons are ReLUs inside as_relu(); convert() makes them spike, export "
                    "behind it"
                )
        for index, synapse in enumerate(self._synapses()):
            with at(f"synapse {index}"):
                synapse.check_exportable()

    # -- forward ----------------------------------------------------------------
    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        """Sum the synapses of ``xs`` (one tensor each), then the neuron."""
        if len(xs) != len(self.synapses):
            raise ConfigError(f"expected {len(self.synapses)} inputs, got {len(xs)}")
        for synapse, x in zip(self._synapses(), xs, strict=True):
            synapse.take(tuple(x.shape[1:-1]))
        timesteps = xs[0].shape[-1]
        if self.length is not None and not (self.neuron is not None and self.neuron.relu):
            self.length.note(timesteps, self.training)
        folded = [fold_time(x) for x in xs]
        if self.training:
            return self._forward_float(folded, self._training_weights(), timesteps)
        if self.precision == "integer":
            exact = self._forward_integer(folded, timesteps)
            if self.units != 1.0:
                exact = exact / self.units
            if not self._wants_gradient(xs):
                return exact
            soft = self._forward_float(folded, self._training_weights(), timesteps)
            if self.neuron is None and self.units == 1.0:
                soft = soft * self.cached_integers().scale.reshape(-1, *[1] * len(self.shape))
            return _StraightThrough.apply(soft, exact)
        weights = [s.hooked_weight() for s in self._synapses()]
        return self._forward_float(folded, weights, timesteps)

    def _wants_gradient(self, xs: Sequence[torch.Tensor]) -> bool:
        return torch.is_grad_enabled() and any(
            t.requires_grad for t in chain(xs, self.parameters())
        )

    def _forward_float(
        self, xs: list[torch.Tensor], weights: list[torch.Tensor | None], timesteps: int
    ) -> torch.Tensor:
        neuron = self.neuron
        if neuron is not None and self._fuses(neuron, xs):
            linear = [
                affine_current(synapse, call_with_weight(synapse, x, weight, False))
                for synapse, x, weight in zip(self._synapses(), xs, weights, strict=True)
            ]
            parts = [y.unflatten(0, (timesteps, -1)) for y, _ in linear]
            return neuron.spikes(parts, [affine for _, affine in linear]).movedim(0, -1)
        total: torch.Tensor | None = None
        for synapse, x, weight in zip(self._synapses(), xs, weights, strict=True):
            part = call_with_weight(synapse, x, weight)
            total = part if total is None else total + part
        assert total is not None
        a = unfold_time(total, timesteps)
        if neuron is not None:
            return neuron(a)
        return torch.cumsum(a, -1) if self.integrate and timesteps > 1 else a

    def _fuses(self, neuron: MultiLevelNeuron, xs: list[torch.Tensor]) -> bool:
        """Whether the neuron is to scale and sum its currents itself."""
        return (
            self.training
            and all(x.is_cpu for x in xs)
            and not (neuron.relu or neuron.dropout or torch.compiler.is_compiling())
            and all_affine(self._synapses(), neuron)
        )

    def _training_weights(self) -> list[torch.Tensor | None]:
        """Weights on the exported grid, gradient straight through."""
        if self.ready is not None:
            ready, self.ready = self.ready, None
            return ready
        weights = [s.hooked_weight() for s in self._synapses()]
        if all(w is None for w in weights):
            return weights
        return straight_through(weights, self._grids(weights, torch.is_grad_enabled()))

    @torch.no_grad()
    def _grids(self, weights: list[torch.Tensor | None], holds: bool) -> list[torch.Tensor | None]:
        """:func:`grid_weights` of the present parameters."""
        compiling = torch.compiler.is_compiling()
        with _outside_inference():
            remembers = not compiling and all(
                # statistics move with the batches, a computed weight with anything
                (s.norm is None or not s.norm.training)
                and (w is None or (w.is_cpu and w is s._parameters.get("weight")))
                for s, w in zip(self._synapses(), weights, strict=True)
            )
            tensors = self._tensors() if remembers else []
            if remembers and self._grid is not None and self._grid.holds(tensors, self._options()):
                return self._grid.value
            (grids,) = grid_weights([self.sums(weights, holds)], self._scaling())
            self._grid = Memo(tensors, self._options(), grids) if remembers else None
            return grids

    def sums(self, weights: Sequence[torch.Tensor | None], holds: bool) -> Sums:
        """What the grid of these weights follows from; ``holds``: see _held_statistics."""
        synapses, statistics = list(self._synapses()), self._held_statistics(holds)
        gains = [s.norm_gain(m) for s, m in zip(synapses, statistics, strict=True)]
        parts = zip(synapses, gains, statistics, strict=True)
        bias = self._bias([s.norm_bias(g, m) for s, g, m in parts])
        neuron = self.neuron
        if neuron is None:
            return Sums(weights, gains, bias, None, 1)
        return Sums(weights, gains, bias, neuron.threshold, neuron.levels)

    def _held_statistics(self, holds: bool) -> list[Statistics | None]:
        """BatchNorm's running statistics as the grid takes them.

        Forwards move them; with gradients the grid holds them until a parameter changes.
        So a forward that is run again for its gradient (checkpointing) computes the same.
        """
        present = [s.statistics() for s in self._synapses()]
        if torch.compiler.is_compiling() or not self.training:
            return present
        key = [(id(p), 0 if p.is_inference() else p._version) for p in _parameters(self)]
        if self._held is None or self._held[0] != key or not holds:
            copies = [None if m is None else (m[0].clone(), m[1].clone()) for m in present]
            self._held = key, copies
        return [
            held if s.norm is not None and s.norm.training else now
            for s, held, now in zip(self._synapses(), self._held[1], present, strict=True)
        ]

    @exact_settings()
    def _forward_integer(self, xs: list[torch.Tensor], timesteps: int) -> torch.Tensor:
        exported = self._exported()
        ints = exported.integers
        # membrane streams come in units of training; a power of two moves them exactly
        xs = [
            x if s.in_scale == 1.0 else x.double() * s.in_scale
            for s, x in zip(self._synapses(), xs, strict=True)
        ]
        largest = max(float(x.abs().max()) if x.numel() else 0.0 for x in xs)
        sums = exported.norm * max(largest, 1.0)
        device = xs[0].device  # a relay has no tensor that would carry its device
        # float32 is exact below 2**24, but a GPU may take fewer bits for its products
        dtype = torch.float32 if device.type == "cpu" and sums < 2**24 else torch.float64
        shape = (-1, *[1] * (len(self.shape) - 1))
        xs = [x.to(dtype) for x in xs]
        total: torch.Tensor = ints.bias.to(device, dtype).reshape(shape)
        for synapse, w_int, e, x in zip(
            self._synapses(), ints.weights, ints.exponents, xs, strict=True
        ):
            layout = torch.channels_last if w_int.dim() == 4 else torch.contiguous_format
            arm = synapse.apply_weight(x, w_int.to(device, dtype, memory_format=layout))
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
        return iter(self.synapses._modules.values())  # type: ignore[arg-type]

    def _device(self) -> torch.device | None:
        for tensor in chain(self.parameters(), self.buffers()):
            return tensor.device
        return None


def straight_through(
    weights: Sequence[torch.Tensor | None], grids: Sequence[torch.Tensor | None]
) -> list[torch.Tensor | None]:
    """The grids, whose gradients reach the weights."""
    out: list[torch.Tensor | None] = []
    for w, grid in zip(weights, grids, strict=True):
        if w is None or grid is None:
            out.append(None)
            continue
        rounded: torch.Tensor = _StraightThrough.apply(w, grid)
        if not torch.compiler.is_compiling():
            note_steps(rounded, steps_of(grid))
        out.append(rounded)
    return out


def _parameters(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """As ``module.parameters()``, in a fraction of its time; shared ones come several times."""
    found: list[torch.nn.Parameter] = []
    left = [module]
    while left:
        here = left.pop()
        found += [p for p in here._parameters.values() if p is not None]
        left += [m for m in here._modules.values() if m is not None]
    return found


def _outside_inference() -> AbstractContextManager[Any]:
    """What is remembered must be of use in training too."""
    inside = not torch.compiler.is_compiling() and torch.is_inference_mode_enabled()
    return torch.inference_mode(False) if inside else nullcontext()


def _area(synapse: Synapse) -> int:
    """How many source values one target value of a weightless synapse adds up."""
    return int(getattr(synapse, "area", 1))
