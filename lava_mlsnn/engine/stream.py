"""A whole network one timestep at a time, every layer at its place in the pipeline.

What Lava's one Process per synapse and population computes: at timestep t a
population sums what its sources sent at t - 1 - delay, so all layers of a timestep
work on different samples and none waits for another. States, resets and the
timesteps while the pipeline fills are those of that network, too.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch

from lava_mlsnn.engine.engine import flattened
from lava_mlsnn.engine.form import Form, Payloads
from lava_mlsnn.engine.payload import from_array, laid_out, plain, sample
from lava_mlsnn.engine.plan import payload_ranges, plan_layers
from lava_mlsnn.engine.reference import Reference
from lava_mlsnn.engine.trial import gives_way
from lava_mlsnn.engine.whole import Call, Whole, traced
from netx_export.exact_settings import exact_settings
from netx_export.spec import Flatten, Input, NetworkSpec
from netx_export.spec.graph import order
from netx_export.spec.timing import delays, depths

__all__ = ["StreamEngine"]


class StreamEngine:
    """See the module.

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level neurons and readouts.
    floating : bool
        float64 without any width, as the floating-point ProcessModels.
    offset : int
        Timesteps before the first sample enters.

    Attributes
    ----------
    z : dict of int to Tensor
        What every population sent in the present timestep.
    overflows : dict of int to ndarray of int64, (1 + synapses,)
        Values that left 24 bits in the sums that neurons took so far.
    """

    @exact_settings()
    def __init__(self, spec: NetworkSpec, floating: bool = False, offset: int = 0) -> None:
        self.spec = spec
        self.offset = offset
        self.floating = floating
        self.time = 0
        self._trusted = True
        self._depths = depths(spec)
        self._delays = delays(spec)
        self._order = order(spec.layers)
        # one bit holds 0 and 1: what enters is cut to it, as the synapses do
        self._binary = spec.input.payload == (0, 1)
        self._forms, self._byte = self._plan()
        self._past = self._silent_past()
        self.states: dict[int, Any] = {i: form.start() for i, form in self._forms.items()}
        self.overflows = {
            i: np.zeros(1 + len(layer.sources), np.int64) for i, layer in spec.populations
        }
        self.z = {i: self._silence(i) for i in self._forms}
        self._reads = sorted(
            {(spec.layers[i].sources[k], delay) for (i, k), delay in self._delays.items()}
        )
        self._whole = self._as_whole()

    def _plan(self, trusted: bool = True) -> tuple[dict[int, Form], list[bool]]:
        kind = "floating" if self.floating else "auto"
        with torch.inference_mode():
            return plan_layers(self.spec, kind, trusted=trusted, batches=False)

    def _silent_past(self) -> dict[int, deque[torch.Tensor]]:
        reach = dict.fromkeys(self._order, 1)
        for (index, k), delay in self._delays.items():
            source = self.spec.layers[index].sources[k]
            reach[source] = max(reach[source], 1 + delay)
        return {i: deque([self._silence(i)] * n, maxlen=n) for i, n in reach.items()}

    def _silence(self, index: int) -> torch.Tensor:
        shape = self.spec.layers[index].shape
        return from_array(np.zeros((1, *shape), np.int64), self._byte[index], torch.float64)

    @exact_settings()
    def advance(self) -> None:
        """Compute one timestep of every population from what was sent before it."""
        self.time += 1
        if self._whole is not None and self._at_once(self._whole):
            return
        period = self.spec.timesteps
        with torch.inference_mode():
            for index, layer in self.spec.populations:
                form = self._forms[index]
                if (self.time - 1 - self.offset - self._depths[index]) % period == 0:
                    self.states[index] = form.start()
                sources = [
                    self._past[source][-1 - self._delays[index, k]]
                    for k, source in enumerate(layer.sources)
                ]
                z, self.states[index], counts = self._step(index, sources)
                self.z[index] = laid_out(z)
                self.overflows[index] += counts

    # -- T = 1: a timestep as one call ------------------------------------------------------
    def _as_whole(self) -> Whole | None:
        if self.spec.timesteps > 1 or self.floating:
            return None

        def examples() -> list[list[torch.Tensor]]:
            ranges = payload_ranges(self.spec)
            maps = [
                sample(self.spec.layers[s].shape, *ranges[s], self._byte[s], 3).split(1)
                for s, _ in self._reads
            ]
            return [[laid_out(m[k]) for m in maps] for k in range(3)]

        def graph() -> Call | None:
            return traced(self._populations, self._forms.values(), examples()[0])

        return Whole({"one graph for a timestep": graph}, self._populations, examples)

    def _populations(self, *read: torch.Tensor) -> list[torch.Tensor]:
        """What all populations send, then the states of those that keep one."""
        given = dict(zip(self._reads, read, strict=True))
        sent, states = [], []
        for index, layer in self.spec.populations:
            form = self._forms[index]
            sources = [given[s, self._delays[index, k]] for k, s in enumerate(layer.sources)]
            z, state, _ = form.step(sources, form.start())
            sent.append(z)
            if isinstance(state, torch.Tensor):
                states.append(state)
        return sent + states

    def _at_once(self, whole: Whole) -> bool:
        with torch.inference_mode():
            read = [plain(self._past[source][-1 - delay]) for source, delay in self._reads]
            found = whole(*read)
            if found is None:
                return False
            given, states = dict(zip(self._reads, read, strict=True)), list(found[len(self.z) :])
            for (index, layer), z in zip(self.spec.populations, found, strict=False):
                self.z[index] = laid_out(z)
                self.states[index] = (
                    [given[s, self._delays[index, k]] for k, s in enumerate(layer.sources)]
                    if self._forms[index].start() is None
                    else states.pop(0)
                )
        return True

    def _step(self, index: int, sources: Payloads) -> tuple[torch.Tensor, Any, np.ndarray]:
        while True:
            form = self._forms[index]
            try:
                return form.step(sources, self.states[index])
            except Exception as error:
                self._replace(index, gives_way(form, error))

    def _replace(self, index: int, form: Form) -> None:
        """Another form of a layer takes over, its membrane with it."""
        v = self._forms[index].state_array(self.states[index])
        self.states[index] = form.state_from(v)
        self._forms[index] = form

    @exact_settings()
    def receive(self, x: np.ndarray) -> None:
        """Take in what arrived at the input in this timestep, and end the timestep.

        Parameters
        ----------
        x : ndarray, (C, H, W) or (F,)
            Payload; whole numbers unless ``floating``.
        """
        x = x.astype(bool) if self._binary else x
        self._watch(x)
        with torch.inference_mode():
            for index in self._order:
                layer = self.spec.layers[index]
                if isinstance(layer, Input):
                    sent = self._entered(x)
                elif isinstance(layer, Flatten):
                    sent = flattened(self._past[layer.source][-1])
                else:
                    sent = self.z[index]
                self._past[index].append(sent)

    def _entered(self, x: np.ndarray) -> torch.Tensor:
        if self.floating:
            z = torch.from_numpy(np.ascontiguousarray(x, np.float64))[None]
            return z if z.dim() == 4 else z[:, :, None, None]
        return from_array(x[None], self._byte[0], torch.float64)

    def _watch(self, x: np.ndarray) -> None:
        """Stop relying on the input's range once a payload has left it."""
        low, high = self.spec.input.payload
        if not self._trusted or self.floating or (x.min() >= low and x.max() <= high):
            return
        self._trusted, self._whole = False, None
        forms, self._byte = self._plan(trusted=False)
        with torch.inference_mode():
            for index, form in forms.items():
                self._replace(index, form)

    @exact_settings()
    def overflow_counts(self, index: int) -> np.ndarray:
        """Values that left 24 bits up to this timestep: in the neurons, in each synapse.

        A synapse sums a payload when it arrives, one timestep and its delay before its
        neurons take the sum: what is on its way is counted, too.
        """
        counts: np.ndarray = self.overflows[index].copy()
        form = self._forms[index]
        if isinstance(form, Reference):
            for k, source in enumerate(self.spec.layers[index].sources):
                past = self._past[source]
                for age in range(1 + self._delays[index, k]):
                    counts[1 + k] += form.arm_overflows(k, past[-1 - age])
        return counts

    @exact_settings()
    def state(self, index: int) -> np.ndarray:
        """Membrane of a population after this timestep, (C, H, W) or (F,)."""
        with torch.inference_mode():
            return self._forms[index].state_array(self.states[index])

    @exact_settings()
    def set_state(self, index: int, v: np.ndarray) -> None:
        """Put another membrane in its place."""
        self.states[index] = self._forms[index].state_from(v)

    @exact_settings()
    def sent(self, index: int) -> np.ndarray:
        """Payload of a population in this timestep, (C, H, W) or (F,)."""
        z: np.ndarray = plain(self.z[index]).numpy()[0]
        return z.reshape(self.spec.layers[index].shape)
