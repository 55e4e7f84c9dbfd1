"""The reference that training, Lava and Loihi are compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lava_mlsnn.errors import ConfigError, RangeError, UnsupportedLayerError
from lava_mlsnn.integer.bits import OVERFLOWS, fit_state, shift, wrap24
from lava_mlsnn.integer.kernels import conv2d, dense, exact_dtype
from lava_mlsnn.neuron.step import fixed_step
from lava_mlsnn.runner.encode import check_payload

if TYPE_CHECKING:
    from netx_export.spec import NetworkSpec, Population, Synapse

__all__ = ["IntegerRunner", "Trace"]

Progress = Callable[[int, int], None]


@dataclass
class Trace:
    """What one run produced.

    Attributes
    ----------
    output : ndarray of int64, (N, F, T)
        Payload of the last layer in every timestep; the result is the last one.
    layers : dict of str to ndarray
        Payloads (N, C, H, W, T) or (N, F, T) of every traced layer.
    overflows : dict of str to int
        Neuron-timesteps that left 24 bits, per layer; only layers with any.
    """

    output: np.ndarray
    layers: dict[str, np.ndarray] = field(default_factory=dict)
    overflows: dict[str, int] = field(default_factory=dict)

    @property
    def classes(self) -> np.ndarray:
        """Index of the largest output at the last timestep, (N,)."""
        return self.output[..., -1].argmax(axis=1)


class IntegerRunner:
    """Runs a network's integers layer by layer.

    Per layer, synapse accumulators and states are 24-bit signed; sums go through
    float BLAS only where every partial sum is exact (:mod:`lava_mlsnn.integer.kernels`).

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level, readout and relay neurons (a file with neurons of lava-dl runs
        in Lava only).
    on_overflow : {"raise", "wrap", "saturate"}
        What leaving 24 bits does: an error that names the layer, or what the
        Lava Process would do (counted in :attr:`Trace.overflows`).

    Raises
    ------
    UnsupportedLayerError
        If the network has a neuron that only Lava runs.
    """

    def __init__(self, spec: NetworkSpec, on_overflow: str = "raise") -> None:
        from netx_export.graph import order
        from netx_export.spec import StockNeuron, need_spec

        need_spec(spec)
        if on_overflow not in ("raise", *OVERFLOWS):
            raise ConfigError(f"on_overflow must be 'raise' or {OVERFLOWS}, got {on_overflow!r}")
        if spec.input.neuron is not None:
            raise UnsupportedLayerError(
                f"the integer runner has no {spec.input.neuron.type} neuron; run this file in Lava",
                spec.label(0),
            )
        for index, layer in spec.populations:
            if isinstance(layer.neuron, StockNeuron):
                raise UnsupportedLayerError(
                    f"the integer runner has no {layer.neuron.type} neuron; run this file in Lava",
                    spec.label(index),
                )
        self.spec = spec
        self.on_overflow = on_overflow
        self._order = order(spec.layers)
        last_use = {s: i for i in self._order for s in spec.layers[i].sources}
        self._dead_after: dict[int, list[int]] = {}
        for source, user in last_use.items():
            self._dead_after.setdefault(user, []).append(source)

    def run(self, x: np.ndarray, batch_size: int = 64, progress: Progress | None = None) -> Trace:
        """Run samples and keep only the output.

        Parameters
        ----------
        x : ndarray of int
            Payloads (N, C, H, W) / (N, F), shown in every timestep, or with a last axis T.
        batch_size : int
            Samples at a time: bounds memory, does not change the result.
        progress : callable, optional
            Called as ``progress(done, total)`` after every batch.
        """
        return self._run(x, batch_size, (), progress)

    def trace(
        self,
        x: np.ndarray,
        layers: list[str] | None = None,
        batch_size: int = 64,
        progress: Progress | None = None,
    ) -> Trace:
        """Like :meth:`run`, and keep the payloads of ``layers`` (default: all with neurons)."""
        names = [p.name for _, p in self.spec.populations]
        for name in layers or ():
            if name not in names:
                raise ConfigError(f"no layer is called {name!r}; there are {', '.join(names)}")
        return self._run(x, batch_size, tuple(names if layers is None else layers), progress)

    def _run(
        self, x: np.ndarray, batch_size: int, keep: tuple[str, ...], progress: Progress | None
    ) -> Trace:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        x = check_payload(self.spec, x)
        outputs: list[np.ndarray] = []
        kept: dict[str, list[np.ndarray]] = {name: [] for name in keep}
        overflows: dict[str, int] = {}
        for start in range(0, len(x), batch_size):
            part = x[start : start + batch_size]
            outputs.append(self._batch(part, kept, overflows))
            if progress is not None:
                progress(start + len(part), len(x))
        shape = (0, *self.spec.output.shape, self.spec.timesteps)
        return Trace(
            np.concatenate(outputs) if outputs else np.zeros(shape, np.int64),
            {
                name: np.concatenate(parts) if parts else np.zeros((0,), np.int64)
                for name, parts in kept.items()
            },
            overflows,
        )

    def _batch(
        self, x: np.ndarray, kept: dict[str, list[np.ndarray]], overflows: dict[str, int]
    ) -> np.ndarray:
        from netx_export.spec import Flatten, Input

        # time first, so that a synapse sees T*N samples
        values: dict[int, np.ndarray] = {}
        for index in self._order:
            layer = self.spec.layers[index]
            if isinstance(layer, Input):
                values[index] = np.moveaxis(x, -1, 0)
            elif isinstance(layer, Flatten):
                source = values[layer.source]
                values[index] = source.reshape(*source.shape[:2], -1)
            else:
                values[index], count = self._population(index, layer, values)
                if count:
                    overflows[layer.name] = overflows.get(layer.name, 0) + count
                if layer.name in kept:
                    kept[layer.name].append(np.moveaxis(values[index], 0, -1))
            for source_index in self._dead_after.get(index, ()):
                del values[source_index]
        return np.moveaxis(values[len(self.spec.layers) - 1], 0, -1)

    def _population(
        self, index: int, layer: Population, values: dict[int, np.ndarray]
    ) -> tuple[np.ndarray, int]:
        from netx_export.spec import MultiLevel

        count = 0
        arms = []
        for synapse in layer.synapses:
            a, outside = fit_state(self._synapse(synapse, values[synapse.source]), "wrap")
            arms.append(a)
            count += outside
        total, outside = fit_state(sum(arms[1:], arms[0]), "wrap")
        count += outside
        if layer.bias is not None:
            total = total + layer.channels(layer.bias)
        out = np.empty_like(total)
        neuron = layer.neuron
        mode = "wrap" if self.on_overflow == "raise" else self.on_overflow
        if isinstance(neuron, MultiLevel):
            vth = layer.channels(neuron.vth)
            v: np.ndarray = layer.channels(neuron.v0)
            for t, a in enumerate(total):
                out[t], v, outside = fixed_step(v, a, vth, neuron.levels, mode)
                count += outside
        else:
            v = np.zeros((), np.int64)
            low, high = neuron.payload
            for t, a in enumerate(total):
                v = v + a if getattr(neuron, "integrate", False) else a
                count += int(np.count_nonzero((v < low) | (v > high)))
                out[t] = v = wrap24(v)
        if count and self.on_overflow == "raise":
            raise RangeError(
                f"{count} values left their integer width with this input; use fewer levels or "
                "smaller weights, or run with on_overflow='wrap' to see what the chip would do",
                self.spec.label(index),
            )
        return out, count

    def _synapse(self, synapse: Synapse, source: np.ndarray) -> np.ndarray:
        from netx_export.spec import Conv, Dense

        timesteps, n = source.shape[:2]
        x = source.reshape(timesteps * n, *source.shape[2:])
        largest = int(np.abs(x).max(initial=0))
        if isinstance(synapse, Conv):
            a = conv2d(
                x,
                synapse.weight,
                synapse.stride,
                synapse.padding,
                synapse.dilation,
                synapse.groups,
                exact_dtype(synapse.weight, largest),
            )
        elif isinstance(synapse, Dense):
            a = dense(x, synapse.weight, exact_dtype(synapse.weight, largest))
        else:
            gain = synapse.weight.astype(np.int64).reshape((-1,) + (1,) * (x.ndim - 2))
            a = x * gain
        return shift(a, synapse.weight_exp).reshape(timesteps, n, *a.shape[1:])
