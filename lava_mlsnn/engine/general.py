"""A population with exact sums in floats, then its neuron timestep by timestep.

For every layer whose worst case stays in 24 bits: nothing can wrap, so no value is
looked at twice. float32 where all sums and states stay below 2**23, which is also
where its division finds the right level (:mod:`netx_export.spec.neurons.step`), else float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container
from typing import Any

import numpy as np
import torch

from lava_mlsnn.engine.form import NOTHING, Form, Payloads
from lava_mlsnn.engine.payload import empty, silent
from lava_mlsnn.engine.sums import SUMS, Packed, Sum
from netx_export.errors import UnsupportedLayerError
from netx_export.spec import MultiLevel, Population, Readout
from netx_export.spec.kinds import of_kind
from netx_export.spec.ranges import LayerRange
from netx_export.spec.widths import STATE_MAX

__all__ = ["General", "has_form"]


def has_form(layer: Population) -> bool:
    """Whether :class:`General` knows the kinds of a layer; :class:`Reference` takes any."""
    known = all(type(synapse) in SUMS for synapse in layer.synapses)
    return known and type(layer.neuron) in (MultiLevel, Readout)


class General(Form):
    """See the module.

    Parameters
    ----------
    layer : Population
        Multi-level neurons, or a readout.
    found : LayerRange
        Its worst case, which fits.
    shapes : list of tuple of int
        Per synapse, shape of its source.
    bytes_in : list of bool
        Per synapse, whether its source sends bytes.
    byte : bool
        Whether payloads leave as bytes.
    wrapless : bool
        For floating-point models, whose values may go anywhere: float64 throughout.
    """

    def __init__(
        self,
        layer: Population,
        found: LayerRange,
        shapes: list[tuple[int, ...]],
        bytes_in: list[bool],
        byte: bool,
        wrapless: bool = False,
    ) -> None:
        super().__init__(layer.name, layer.shape)
        largest = max(
            max(-low, high) for low, high in (*found.synapses, found.accumulator, found.state)
        )
        whole = not wrapless
        self.dtype = torch.float32 if largest < STATE_MAX and not wrapless else torch.float64
        self.byte = byte
        self.sums: list[Sum] = []
        for synapse, shape, narrow, (low, high) in zip(
            layer.synapses, shapes, bytes_in, found.synapses, strict=True
        ):
            bound = 1 << 52 if wrapless else max(-low, high)
            make = of_kind(SUMS, synapse, "the engine")
            self.sums.append(make(synapse, shape, narrow, bound, self.dtype, whole))
        self.bias = None if layer.bias is None else self._channels(layer.bias)
        self.zero = torch.zeros((1, 1, 1), dtype=self.dtype)
        self.rest = self.zero if self.bias is None else self.bias  # what comes in in silence
        self.levels = layer.neuron.spike_levels
        self.integrate = False
        match layer.neuron:
            case MultiLevel() as neuron:
                self.vth, self.v0 = self._channels(neuron.vth), self._channels(neuron.v0)
            case Readout() as neuron:
                self.integrate = neuron.integrate
            case other:
                raise UnsupportedLayerError(f"the engine has no {other.text} neuron")

    def _channels(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float64)).to(self.dtype).reshape(-1, 1, 1)

    def _begin(self, count: int, start: torch.Tensor) -> torch.Tensor:
        """So many maps before anything arrives."""
        c, h, w = self.shape if len(self.shape) == 3 else (*self.shape, 1, 1)
        return empty((count, c, h, w), self.dtype).copy_(start)

    def _add(self, sources: Payloads, total: torch.Tensor) -> torch.Tensor:
        """All synapses; where nothing arrives there is nothing to add."""
        for add, source in zip(self.sums, sources, strict=True):
            if not silent(source):
                add(source, total)
        return total

    def run(
        self, sources: Payloads, timesteps: int, free: Container[int] = ()
    ) -> tuple[torch.Tensor, np.ndarray]:
        """See :class:`Form`."""
        count = len(sources[0])
        if not self.levels:
            return self._read(self._add(sources, self._begin(count, self.rest)), timesteps), NOTHING
        steps = [*map(list, zip(*(x.chunk(timesteps) for x in sources), strict=True))]
        z = self._fire(lambda t, h: self._add(steps[t], h), timesteps, count // timesteps)
        return z, NOTHING

    def held(self, sources: Payloads, timesteps: int) -> torch.Tensor:
        """As :meth:`run`, for payloads (B, C, H, W) that are the same in all timesteps."""
        count = len(sources[0])
        if not self.levels:
            total = self._add(sources, self._begin(count, self.rest))
            return self._read(total.repeat(timesteps, 1, 1, 1), timesteps)
        total = self._add(sources, self._begin(count, self.zero))
        return self._fire(lambda t, h: h.add_(total), timesteps, count)

    def _read(self, total: torch.Tensor, timesteps: int) -> torch.Tensor:
        """What a readout sends for sums (T * B, C, H, W), which are overwritten."""
        if self.integrate and timesteps > 1:
            steps = total.chunk(timesteps)
            for before, now in itertools.pairwise(steps):
                now.add_(before)
        return self._leave(total)

    def _fire(
        self, arrive: Callable[[int, torch.Tensor], Any], timesteps: int, count: int
    ) -> torch.Tensor:
        """Payloads (T * B, C, H, W) of neurons to whose membranes ``arrive(t, v)`` adds sums."""
        h = self._begin(count, self.v0 + self.rest)
        z = torch.empty_like(h)
        kind = torch.uint8 if self.byte else self.dtype
        if self.byte and self.levels < 128 and not torch._C._is_tracing():
            kind = torch.int8  # the same bits, which floats become much faster; no graph holds it
        out = empty((timesteps * count, *h.shape[1:]), kind)
        for t, sent in enumerate(out.chunk(timesteps)):
            arrive(t, h)
            sent.copy_(torch.div(h, self.vth, out=z).floor_().clamp_(0, self.levels))
            if t + 1 < timesteps:
                h.addcmul_(z, self.vth, value=-1)
                if self.bias is not None:
                    h.add_(self.bias)
        return out.view(torch.uint8) if kind == torch.int8 else out

    def _leave(self, z: torch.Tensor) -> torch.Tensor:
        return z.to(torch.uint8) if self.byte else z

    def bytes(self, timesteps: int) -> int:
        """Membrane and quotient, then the payloads of all timesteps; a readout's sums."""
        return 8 + timesteps if self.levels else 4 * timesteps

    def owned(self) -> list[Any] | None:
        """See :class:`Form`."""
        return None if any(isinstance(add, Packed) for add in self.sums) else []

    def start(self) -> torch.Tensor:
        """V0, or 0 for a readout; (1, C, 1, 1) broadcasts over the map."""
        if self.levels:
            return self.v0[None]
        return self.zero[None]

    def step(self, sources: Payloads, state: Any) -> tuple[torch.Tensor, Any, np.ndarray]:
        """See :class:`Form`."""
        if not self.levels:
            before = state if self.integrate else self.zero
            total = self._add(sources, self._begin(1, before + self.rest))
            return self._leave(total), total if self.integrate else state, NOTHING
        h = self._begin(1, state + self.rest)
        self._add(sources, h)
        z = (h / self.vth).floor_().clamp_(0, self.levels)
        sent = self._leave(z)
        if sent is z:
            sent = z.clone()
        return sent, h.sub_(z.mul_(self.vth)), NOTHING

    def state_array(self, state: Any) -> np.ndarray:
        """See :class:`Form`."""
        size = self.shape if len(self.shape) == 3 else (*self.shape, 1, 1)
        array: np.ndarray = state[0].expand(size).numpy().reshape(self.shape)
        return array

    def state_from(self, v: np.ndarray) -> torch.Tensor:
        """See :class:`Form`."""
        size = self.shape if len(self.shape) == 3 else (*self.shape, 1, 1)
        return torch.from_numpy(v.astype(np.float64).reshape(1, *size)).to(self.dtype)
