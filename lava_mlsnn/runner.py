"""The integer runner: whole datasets, batched, in NumPy arrays, without Lava."""

from __future__ import annotations

import functools
import itertools
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lava_mlsnn.checks import check_threads, check_whole, shown
from lava_mlsnn.errors import ConfigError, RangeError, UnsupportedLayerError
from lava_mlsnn.trace import Trace
from netx_export.spec import NetworkSpec, limits, need_spec
from netx_export.spec.encode import as_array, check_payload, check_shape, encode
from netx_export.spec.widths import OVERFLOWS

__all__ = ["IntegerRunner", "Trace", "encode"]

Progress = Callable[[int, int], None]
HOME = os.getpid()


class IntegerRunner:
    """Runs a network's integers layer by layer, on all cores.

    Per layer, synapse accumulators and states are 24-bit signed. Which arithmetic
    computes them, :mod:`lava_mlsnn.engine` chooses per layer; the integers are the
    same in each.

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level, readout and relay neurons (a file with neurons of lava-dl runs
        in Lava only).
    on_overflow : {"raise", "wrap", "saturate"}
        What leaving 24 bits does: an error that names the layer, or what the
        Lava Process would do (counted in :attr:`Trace.overflows`).
    threads : int
        CPU threads of torch while it runs; 0 leaves torch's own number (one in a process
        that was forked, where torch's threads may be gone).
    kind : {"auto", "general", "reference"}
        Fastest exact form of every layer; without the 8-bit neurons; plain 64-bit
        integers (slow, to compare with).

    Raises
    ------
    UnsupportedLayerError
        If the network has a neuron that only Lava runs.
    RangeError
        If one sample, all its T timesteps of one layer, does not fit the memory.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        on_overflow: str = "raise",
        *,
        threads: int = 0,
        kind: str = "auto",
    ) -> None:
        need_spec(spec)
        if on_overflow not in ("raise", *OVERFLOWS):
            raise ConfigError(f"on_overflow must be 'raise' or {OVERFLOWS}, got {on_overflow!r}")
        check_threads(threads)
        if kind == "floating":
            raise ConfigError("the integer runner has no kind 'floating'; run it in Lava")
        if spec.input.neuron is not None:
            raise UnsupportedLayerError(
                f"the integer runner has no {spec.input.neuron.type} neuron; run this file in Lava",
                spec.label(0),
            )
        for index, layer in spec.populations:
            if not layer.neuron.exact:
                raise UnsupportedLayerError(
                    f"the integer runner has no {layer.neuron.text} neuron; run this file in Lava",
                    spec.label(index),
                )
        _check_memory(spec)
        from lava_mlsnn.engine import Engine  # torch only from here on

        self.spec = spec
        self.on_overflow = on_overflow
        self.threads = threads
        self.kind = kind
        self._populations = [p.name for _, p in spec.populations]
        with self._threads():
            mode = "wrap" if on_overflow == "raise" else on_overflow
            self._engine = Engine(spec, kind, mode)

    def __reduce__(self) -> tuple[Any, ...]:
        """Made anew in another process."""
        made = functools.partial(type(self), threads=self.threads, kind=self.kind)
        return made, (self.spec, self.on_overflow)

    def run(self, x: np.ndarray, batch_size: int = 64, progress: Progress | None = None) -> Trace:
        """Run samples and keep only the output.

        Parameters
        ----------
        x : ndarray of int
            Payloads (N, C, H, W) / (N, F), shown in every timestep, or with a last axis T.
        batch_size : int
            Samples at a time, or fewer where that is faster: bounds memory, does not
            change the result.
        progress : callable, optional
            Called as ``progress(done, total)`` after every batch.
        """
        x = as_array(x)
        # each line here is some of a short call
        if x.shape[:1] == (1,) and progress is None and self._engine.ready(self.threads):
            check_whole("batch_size", batch_size, 1, 1 << 31)
            output = self._engine.at_once(check_payload(self.spec, x))
            if output is not None:
                return Trace(output)
        traces = self.iter_traces(x, (), batch_size, progress)
        first = next(traces, None)
        if first is None or len(first.output) < len(x):
            return self._joined(itertools.chain([first] if first else [], traces), ())
        next(traces, None)  # says that it is done
        return first

    def trace(
        self,
        x: np.ndarray,
        layers: list[str] | None = None,
        batch_size: int = 64,
        progress: Progress | None = None,
    ) -> Trace:
        """Like :meth:`run`, and keep the payloads of ``layers`` (default: all with neurons)."""
        names = self._names(layers)
        return self._joined(self.iter_traces(x, names, batch_size, progress), names)

    def iter_traces(
        self,
        x: np.ndarray,
        layers: list[str] | tuple[str, ...] | None = None,
        batch_size: int = 64,
        progress: Progress | None = None,
    ) -> Iterator[Trace]:
        """Like :meth:`trace`, batch by batch: memory stays bounded however many samples.

        Layers are in the narrowest integers that the runner had them in; the arrays of
        one batch are new ones.
        """
        batch_size = check_whole("batch_size", batch_size, 1, 1 << 31)
        x = as_array(x)
        check_shape(self.spec.input, x)
        names = self._names(layers)

        step = min(batch_size, self._engine.samples)

        def traces() -> Iterator[Trace]:
            for start in range(0, len(x), step):
                part = check_payload(self.spec, x[start : start + step])
                kept: dict[str, np.ndarray] = {}
                observe = kept.__setitem__ if len(names) == len(self._populations) else None
                if observe is None and names:

                    def observe(name: str, z: np.ndarray, kept: Any = kept) -> None:
                        if name in names:
                            kept[name] = z

                with self._threads():
                    output, overflows = self._engine.run(part, observe)
                self._refuse(overflows)
                yield Trace(output, kept, overflows)
                if progress is not None:
                    progress(start + len(part), len(x))

        return traces()

    def warm_up(self) -> None:
        """Make now what is else made after 2,000 calls for one sample each: for a service.

        At T = 1 the network is then one call, in onnxruntime where that is installed or in a
        graph of torch's; which one is measured, and the integers are the same. Takes about a
        second.
        """
        with self._threads():
            self._engine.warm_up()

    def profile(self, x: np.ndarray, batch_size: int = 64) -> dict[str, float]:
        """Seconds spent in every layer while ``x`` runs, in the order of the file."""
        seconds = {layer.name: 0.0 for layer in self.spec.layers}
        x = as_array(x)
        check_shape(self.spec.input, x)
        step = min(check_whole("batch_size", batch_size, 1, 1 << 31), self._engine.samples)
        for start in range(0, len(x), step):
            part = check_payload(self.spec, x[start : start + step])
            with self._threads():
                self._engine.run(part, seconds=seconds)
        return seconds

    def _names(self, layers: list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
        names = self._populations
        if layers is not None and not isinstance(layers, list | tuple):
            raise ConfigError(f"layers must be a list of names, got {shown(layers)}")
        for name in layers or ():
            if name not in names:
                raise ConfigError(f"no layer is called {name!r}; there are {', '.join(names)}")
        return tuple(names if layers is None else layers)

    def _joined(self, traces: Iterator[Trace], names: tuple[str, ...]) -> Trace:
        timesteps, last = self.spec.timesteps, self.spec.output.shape
        outputs = [np.zeros((0, *last, timesteps), np.int64)]
        kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
        overflows: dict[str, int] = {}
        for trace in traces:
            outputs.append(trace.output)
            for name, z in trace.layers.items():
                kept[name].append(z.astype(np.int64))
            for name, count in trace.overflows.items():
                overflows[name] = overflows.get(name, 0) + count
        layers = {
            name: np.concatenate(parts) if parts else np.zeros((0,), np.int64)
            for name, parts in kept.items()
        }
        return Trace(np.concatenate(outputs), layers, overflows)

    def _refuse(self, overflows: dict[str, int]) -> None:
        if self.on_overflow != "raise" or not overflows:
            return
        for index, layer in self.spec.populations:
            if layer.name in overflows:
                raise RangeError(
                    f"{overflows[layer.name]} values left their integer width with this input; "
                    "use fewer levels or smaller weights, or run with on_overflow='wrap' to see "
                    "what the chip would do",
                    self.spec.label(index),
                )

    @contextmanager
    def _threads(self) -> Iterator[None]:
        import torch

        before = torch.get_num_threads()
        # threads do not survive a fork: the child would wait for those of its parent for ever
        wanted = self.threads or (before if os.getpid() == HOME else 1)
        if wanted == before:
            yield
            return
        torch.set_num_threads(wanted)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _check_memory(spec: NetworkSpec) -> None:
    """RangeError where one sample does not fit: the runner takes its T timesteps at once."""
    sizes = [math.prod(layer.shape) for layer in spec.layers]
    for index, layer in spec.populations:
        need = 8 * spec.timesteps * (sizes[index] + sum(sizes[s] for s in layer.sources))
        if need > limits.memory():
            raise RangeError(
                f"one sample of T = {spec.timesteps} timesteps needs {need >> 30} GiB here, more "
                "than this machine has; run it in Lava, which goes timestep by timestep",
                spec.label(index),
            )
