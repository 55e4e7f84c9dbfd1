"""A population with exact sums in floats, then its neuron timestep by timestep.

For every layer whose worst case stays in 24 bits: nothing can wrap, so no value is
looked at twice. float32 where all sums and states stay below 2**23, which is also
where its division finds the right level (:mod:`netx_export.spec.neurons.step`), else float64.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
import torch

from lava_mlsnn.engine.form import NOTHING, Form, Payloads
from lava_mlsnn.engine.sums import SUMS, Sum, Weighted
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

    def total(self, sources: Payloads) -> torch.Tensor:
        """All synapses and the bias, a fresh tensor."""
        a = self.sums[0](sources[0])
        for add, source in zip(self.sums[1:], sources[1:], strict=True):
            a += add(source)
        if self.bias is not None:
            a += self.bias
        return a

    def run(
        self, sources: Payloads, timesteps: int, free: Container[int] = ()
    ) -> tuple[torch.Tensor, np.ndarray]:
        """See :class:`Form`."""
        return self._fire(self.total(sources).unflatten(0, (timesteps, -1))), NOTHING

    def held(self, sources: Payloads, timesteps: int) -> torch.Tensor:
        """As :meth:`run`, for payloads (B, C, H, W) that are the same in all timesteps."""
        total = self.total(sources)
        return self._fire(total.expand(timesteps, *total.shape))

    def _fire(self, steps: torch.Tensor) -> torch.Tensor:
        """Payloads (T * B, C, H, W) of sums (T, B, C, H, W), which are overwritten."""
        if not self.levels:
            total = steps.cumsum(0) if self.integrate else steps
            return self._leave(total.flatten(0, 1))
        timesteps, own = len(steps), steps.stride(0) > 0 or len(steps) == 1
        kind = torch.uint8 if self.byte else self.dtype
        order = (steps[0].numel(), *steps[0].stride())  # the memory order of the sums
        out = torch.empty_strided(steps.shape, order, dtype=kind)
        v = self.v0
        for t in range(timesteps):
            h = steps[t].add_(v) if own else steps[t] + v
            z = self._spikes(h)
            out[t] = z
            if t + 1 < timesteps:
                v = h.addcmul_(z, self.vth, value=-1)
        return out.flatten(0, 1)

    def _spikes(self, h: torch.Tensor) -> torch.Tensor:
        return (h / self.vth).floor_().clamp_(0, self.levels)

    def _leave(self, z: torch.Tensor) -> torch.Tensor:
        return z.to(torch.uint8) if self.byte else z

    def owned(self) -> list[Any] | None:
        """See :class:`Form`."""
        return None if any(isinstance(s, Weighted) and s.opaque for s in self.sums) else []

    def start(self) -> torch.Tensor:
        """V0, or 0 for a readout; (1, C, 1, 1) broadcasts over the map."""
        if self.levels:
            return self.v0[None]
        return torch.zeros((1, 1, 1, 1), dtype=self.dtype)

    def step(self, sources: Payloads, state: Any) -> tuple[torch.Tensor, Any, np.ndarray]:
        """See :class:`Form`."""
        total = self.total(sources)
        if not self.levels:
            if self.integrate:
                total = state = total + state
            return self._leave(total), state, NOTHING
        h = total.add_(state)
        z = self._spikes(h)
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
