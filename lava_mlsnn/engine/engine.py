"""A whole network on batches of samples."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from lava_mlsnn.engine.form import NOTHING
from lava_mlsnn.engine.general import General
from lava_mlsnn.engine.payload import from_array, laid_out, plain, sample, to_array
from lava_mlsnn.engine.plan import plan_layers
from lava_mlsnn.engine.reference import Reference
from lava_mlsnn.engine.session import session
from lava_mlsnn.engine.trial import gives_way
from lava_mlsnn.engine.whole import Call, Whole, traced
from netx_export.exact_settings import exact_settings
from netx_export.spec import Flatten, Layer, NetworkSpec, Population
from netx_export.spec.graph import order

__all__ = ["Engine", "flattened"]

Observe = Callable[[str, np.ndarray], None]

CACHE = 1 << 23  # bytes; measured: beyond it a layer's passes over its sums wait for memory


class _Step(NamedTuple):
    """What is to be done for one layer."""

    place: int
    layer: Layer
    sources: tuple[int, ...]
    free: tuple[int, ...]  # places of sources that end here
    dead: tuple[int, ...]  # layers that end here


class _FormError(Exception):
    """A layer's form cannot run on what it was given."""

    def __init__(self, index: int, error: Exception) -> None:
        super().__init__(index, error)
        self.index = index
        self.error = error


class Engine:
    """Computes batches of whole samples, layer by layer.

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level neurons and readouts.
    kind, overflow : str
        See :func:`lava_mlsnn.engine.plan.plan_layers`.

    Attributes
    ----------
    samples : int
        How many samples at a time are fastest: their largest layer stays in the cache.
    """

    def __init__(self, spec: NetworkSpec, kind: str = "auto", overflow: str = "wrap") -> None:
        self.spec = spec
        with exact_settings(), torch.inference_mode():
            self.layers, self.byte = plan_layers(spec, kind, overflow)
        widest = max(
            math.prod(form.shape) * form.bytes(spec.timesteps) for form in self.layers.values()
        )
        self.samples = max(1, CACHE // widest)
        places = order(spec.layers)
        self._steady = _steady(spec, places)
        last_use = {s: i for i in places for s in spec.layers[i].sources}
        dead_after: dict[int, list[int]] = {}
        for source, user in last_use.items():
            dead_after.setdefault(user, []).append(source)
        self._whole = self._as_whole() if kind == "auto" else None
        viewed = {layer.source for layer in spec.layers if isinstance(layer, Flatten)}
        self._steps = [
            _Step(
                index,
                layer,
                layer.sources,
                tuple(
                    k
                    for k, s in enumerate(layer.sources)
                    if s in dead_after.get(index, ())
                    and s not in viewed
                    and layer.sources.count(s) == 1  # not to be read by another synapse
                ),
                tuple(dead_after.get(index, ())),
            )
            for index, layer in ((i, spec.layers[i]) for i in places)
        ]

    def run(
        self,
        x: np.ndarray,
        observe: Observe | None = None,
        seconds: dict[str, float] | None = None,
    ) -> tuple[np.ndarray, dict[str, int]]:
        """Outputs of a batch.

        Parameters
        ----------
        x : ndarray of int, (B, C, H, W, T) or (B, F, T)
            Legal payloads.
        observe : callable, optional
            Called as ``observe(name, z)`` with every population's payloads
            (B, ..., T), in the engine's own memory: to be read, not changed. Again
            from the first on where a form fails and the batch is computed anew.
        seconds : dict, optional
            Time of every layer is added to it, by name.

        Returns
        -------
        output : ndarray of int64, (B, F, T) or (B, C, H, W, T)
        overflows : dict of str to int
            Values that left 24 bits, per layer; only layers with any.
        """
        if self._whole is not None and len(x) == 1 and observe is None and seconds is None:
            output = self.at_once(x)
            if output is not None:
                return output, {}
        with exact_settings(), torch.inference_mode():
            while True:
                try:
                    return self._run(x, observe, seconds)
                except _FormError as failed:  # it may have overwritten a source: all anew
                    form = gives_way(self.layers[failed.index], failed.error)
                    self.layers[failed.index] = form

    def ready(self, threads: int) -> bool:
        """Whether one sample's call is made for so many threads; 0 are torch's own number."""
        made = self._whole is not None and self._whole.ready
        return made and threads in (0, torch.get_num_threads())

    def at_once(self, x: np.ndarray) -> np.ndarray | None:
        """Output of one sample, (1, ..., T), by its one call, in which nothing overflows."""
        assert self._whole is not None
        found = self._whole(x[..., 0])
        return None if found is None else found[0][..., None].astype(np.int64)

    def warm_up(self) -> None:
        """Make the one call for a sample now, where there is one."""
        if self._whole is not None:
            self._whole.make()

    def _run(
        self, x: np.ndarray, observe: Observe | None, seconds: dict[str, float] | None
    ) -> tuple[np.ndarray, dict[str, int]]:
        timesteps = self.spec.timesteps
        values: dict[int, torch.Tensor] = {}
        overflows: dict[str, int] = {}
        held = timesteps > 1 and x.strides[-1] == 0  # a view: one sample for all timesteps
        for index, layer, sources, free, dead in self._steps:
            began = time.perf_counter() if seconds is not None else 0.0
            form = self.layers.get(index)
            if form is not None:
                # what is observed may be kept, so nothing is free to be overwritten
                free = free if observe is None else ()
                taken = [values[s] for s in sources]
                try:
                    if held and self._steady.issuperset(sources) and isinstance(form, General):
                        z, counts = form.held([s[: len(x)] for s in taken], timesteps), NOTHING
                    else:
                        z, counts = form.run(taken, timesteps, free)
                except Exception as error:
                    raise _FormError(index, error) from error
                values[index] = laid_out(z)
                if counts is not NOTHING and np.any(counts):
                    overflows[layer.name] = int(counts.sum())
                if observe is not None:
                    observe(layer.name, self._samples(values[index], layer.shape))
            elif sources:
                values[index] = flattened(values[sources[0]])
            else:
                folded = np.moveaxis(x, -1, 0).reshape(-1, *layer.shape)
                values[index] = self._entered(folded)
            if seconds is not None:
                took = time.perf_counter() - began
                seconds[layer.name] = seconds.get(layer.name, 0.0) + took
            for source in dead:
                del values[source]
        last = len(self.spec.layers) - 1
        output = self._samples(values[last], self.spec.output.shape)
        return output.astype(np.int64), overflows

    # -- one sample at T = 1 as one call ---------------------------------------------------
    def _as_whole(self) -> Whole | None:
        forms = list(self.layers.values())
        if self.spec.timesteps > 1 or any(isinstance(form, Reference) for form in forms):
            return None
        low, high = self.spec.input.payload
        maps = sample(self.spec.input.shape, low, high, self.byte[0], 3)

        def examples() -> list[tuple[np.ndarray]]:
            arrays = to_array(maps, self.spec.input.shape)
            return [(arrays[k : k + 1],) for k in range(len(arrays))]

        def plainly(x: np.ndarray) -> tuple[np.ndarray]:
            return (self._run(x[..., None], None, None)[0][..., 0],)

        def graph() -> Call | None:
            found = traced(self._layers, self.layers.values(), [self._entered(examples()[0][0])])

            def call(x: np.ndarray) -> tuple[np.ndarray]:
                assert found is not None
                with exact_settings(), torch.inference_mode():
                    return (to_array(found(self._entered(x))[0], self.spec.output.shape),)

            return None if found is None else call

        makers: dict[str, Callable[[], Call | None]] = {
            "one graph for a sample": graph,
            "onnxruntime for one sample": functools.partial(session, self.spec),
        }
        return Whole(makers, plainly, examples)

    def _entered(self, x: np.ndarray) -> torch.Tensor:
        """Payloads (T * B, ...) as the layers take them."""
        return from_array(x, self.byte[0], torch.float64)

    def _layers(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        """All layers in turn: what is traced."""
        values = {0: x}
        for index, _, sources, free, _ in self._steps:
            if index in self.layers:
                taken = [values[s] for s in sources]
                values[index] = self.layers[index].run(taken, self.spec.timesteps, free)[0]
            elif sources:
                values[index] = flattened(values[sources[0]])
        return (values[len(self.spec.layers) - 1],)

    def _samples(self, z: torch.Tensor, shape: tuple[int, ...]) -> np.ndarray:
        """(T * B, C, H, W) to (B, *shape, T), a view."""
        array = to_array(z, shape)
        return np.moveaxis(array.reshape(self.spec.timesteps, -1, *shape), 0, -1)


def _steady(spec: NetworkSpec, places: list[int]) -> set[int]:
    """Layers that send the same in every timestep where the input does."""
    found: set[int] = set()
    for index in places:
        layer = spec.layers[index]
        keeps = isinstance(layer, Population) and layer.keeps_state
        if not keeps and found.issuperset(layer.sources):
            found.add(index)
    return found


def flattened(z: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) to (B, C * H * W, 1, 1), channels first as in torch's flatten."""
    z = plain(z)
    return laid_out(z.reshape(z.shape[0], -1, 1, 1))
