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

import torch

from lava_mlsnn.errors import ConfigError, at
from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.neuron.step import multilevel_step
from lava_mlsnn.slayer.quantise import Integers, Scaling, quantise
from lava_mlsnn.slayer.synapse import Synapse

__all__ = ["Population", "fold_time", "precision", "set_precision", "unfold_time"]

PRECISIONS = ("integer", "float")


def fold_time(x: torch.Tensor) -> torch.Tensor:
    """(N, ..., T) to (T*N, ...)."""
    return x.movedim(-1, 0).flatten(0, 1)


def unfold_time(x: torch.Tensor, timesteps: int) -> torch.Tensor:
    """(T*N, ...) to (N, ..., T); a view."""
    return x.unflatten(0, (timesteps, -1)).movedim(0, -1)


@dataclass
class _Cache:
    """Integers, and copies of all that they were made from."""

    tensors: list[torch.Tensor]
    options: object
    integers: Integers
    norm: float

    def holds(self, tensors: list[torch.Tensor], options: object) -> bool:
        return (
            self.options == options
            and len(tensors) == len(self.tensors)
            and all(
                a.device == b.device and a.dtype == b.dtype and torch.equal(a, b)
                for a, b in zip(tensors, self.tensors, strict=True)
            )
        )


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
        self._cache: _Cache | None = None

    # -- integers ---------------------------------------------------------------
    def integers(self) -> Integers:
        """The exported integers for the present parameters and running statistics."""
        weights, gains, bias = [], [], None
        for synapse in self._synapses():
            weight, shift = synapse.folded()
            weights.append(weight)
            gains.append(synapse.gain / synapse.in_scale)
            if shift is not None:
                bias = shift if bias is None else bias + shift
        if bias is None:
            bias = torch.zeros(self.shape[0], device=self._device())
        theta = None if self.neuron is None else float(self.neuron.threshold.detach().double())
        levels = 1 if self.neuron is None else self.neuron.levels
        v0 = "floor" if self.neuron is None else self.neuron.v0
        scaling = self.scaling
        if scaling.sum_limit and v0 == "round":  # stock Lava adds V0 to the bias
            scaling = replace(
                scaling,
                bias_limit=scaling.bias_limit // 2,
                state_limit=min(scaling.state_limit, scaling.bias_limit * (levels + 1)),
            )
        return quantise(weights, gains, bias, theta, levels, v0, scaling)

    def cached_integers(self) -> tuple[Integers, float]:
        """:meth:`integers` and the largest L1 norm of a weight row, until a parameter changes."""
        # SLAYER users write through ``weight.data``, which no version counter sees
        tensors = [t.detach() for t in (*self.parameters(), *self.buffers())]
        neuron = self.neuron
        options = (self.scaling, neuron and (neuron.levels, neuron.v0))
        hooked = any(s.pre_hook_fx is not None for s in self._synapses())
        if self._cache is None or hooked or not self._cache.holds(tensors, options):
            with torch.no_grad():
                ints = self.integers()
            norm = sum(
                float(w.abs().flatten(1).sum(1).max() if w.dim() > 1 else w.abs().max() * _area(s))
                * 2.0**e
                for w, e, s in zip(ints.weights, ints.exponents, self._synapses(), strict=True)
            )
            copies = [t.clone() for t in tensors]
            self._cache = _Cache(copies, options, ints, norm + float(ints.bias.abs().max()))
        return self._cache.integers, self._cache.norm

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
        parts = [
            synapse(x, weight)
            for synapse, x, weight in zip(self._synapses(), folded, weights, strict=True)
        ]
        a = unfold_time(sum(parts[1:], parts[0]), timesteps)
        if self.neuron is not None:
            return self.neuron(a)
        return torch.cumsum(a, -1) if self.integrate else a

    def _training_weights(self) -> list[torch.Tensor | None]:
        """Float weights on the exported grid, gradient straight through."""
        with torch.no_grad():
            ints = self.integers()
        out: list[torch.Tensor | None] = []
        for synapse, w_int, e in zip(self._synapses(), ints.weights, ints.exponents, strict=True):
            weight = synapse.hooked_weight()
            if weight is None:
                out.append(None)
                continue
            unit = ints.scale.to(weight.dtype)
            gain = synapse.norm_gain()
            if gain is not None:
                unit = unit * gain.detach()
            unit = unit.reshape(-1, *[1] * (weight.dim() - 1))
            rounded = w_int.to(weight.dtype) * 2.0**e / unit
            # a channel that BatchNorm has switched off has no grid to round to
            rounded = torch.where(unit.abs() > 1e-6, rounded, weight.detach())
            out.append(weight + (rounded - weight).detach())
        return out

    @torch.no_grad()
    def _forward_integer(self, xs: list[torch.Tensor], timesteps: int) -> torch.Tensor:
        ints, norm = self.cached_integers()
        largest = max(float(x.abs().max()) if x.numel() else 0.0 for x in xs)
        device = xs[0].device  # a relay has no tensor that would carry its device
        # float32 is exact below 2**24, unless the user lets matmul take fewer bits
        plain = device.type == "cpu" and torch.get_float32_matmul_precision() == "highest"
        exact32 = plain and norm * max(largest, 1.0) < 2**24
        dtype = torch.float32 if exact32 else torch.float64
        shape = (-1, *[1] * (len(self.shape) - 1))
        total: torch.Tensor = ints.bias.to(device, dtype).reshape(shape)
        with (
            torch.backends.nnpack.flags(enabled=False),
            torch.autocast(device.type, enabled=False),
        ):
            for synapse, w_int, e, x in zip(
                self._synapses(), ints.weights, ints.exponents, xs, strict=True
            ):
                arm = synapse.apply_weight(x.to(dtype), w_int.to(device, dtype))
                if device.type != "cpu":  # cuDNN may pick FFT or Winograd
                    arm = arm.round()
                total = total + arm * 2.0**e
        a = unfold_time(total, timesteps)
        if self.neuron is None:
            return torch.cumsum(a.double(), -1) if self.integrate else a
        assert ints.vth is not None and ints.v0 is not None
        wide = torch.float64  # states over T may pass what float32 holds
        vth = ints.vth.to(device, wide).reshape(shape)
        v: torch.Tensor = ints.v0.to(device, wide).reshape(shape)
        out = []
        for step in a.unbind(-1):
            z, v = multilevel_step(v, step.to(wide), vth, self.neuron.levels)
            out.append(z.to(torch.float32))
        return torch.stack(out).movedim(0, -1)

    def _synapses(self) -> Iterator[Synapse]:
        for synapse in self.synapses:
            assert isinstance(synapse, Synapse)
            yield synapse

    def _device(self) -> torch.device | None:
        tensor = next(iter((*self.parameters(), *self.buffers())), None)
        return None if tensor is None else tensor.device


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
