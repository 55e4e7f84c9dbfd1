"""A population in 64-bit integers, with the 24-bit ends written out (NumPy).

The form that has no conditions: any weights and payloads, wrap and saturation as in
the Lava Processes. The other two forms are tested against it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
import torch

from lava_mlsnn.engine.form import Form, Payloads
from lava_mlsnn.engine.payload import from_array, to_array
from netx_export.spec import NetworkSpec, Population
from netx_export.spec.widths import fit_state

__all__ = ["Reference"]


class Reference(Form):
    """See the module.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    layer : Population
        Which of its layers.
    byte : bool
        Whether payloads leave as bytes.
    overflow : {"wrap", "saturate"}
        What a state beyond 24 bits becomes; sums of synapses always wrap.
    """

    def __init__(
        self, spec: NetworkSpec, layer: Population, byte: bool, overflow: str = "wrap"
    ) -> None:
        super().__init__(layer.name, layer.shape)
        self.layer = layer
        self.byte = byte
        self.overflow = overflow
        self._shapes = [spec.layers[s].shape for s in layer.sources]

    def run(
        self, sources: Payloads, timesteps: int, free: Container[int] = ()
    ) -> tuple[torch.Tensor, np.ndarray]:
        """See :class:`Form`."""
        total, counts = self._total(sources)
        total = total.reshape(timesteps, -1, *self.shape)
        out = np.empty_like(total)
        v = self.start()
        for t, a in enumerate(total):
            out[t], v, outside = self.layer.neuron.step(v, a, len(self.shape), self.overflow)
            counts[0] += outside
        return self._payload(out.reshape(-1, *self.shape)), counts

    def start(self) -> np.ndarray:
        """V0, or 0 for a readout."""
        return np.zeros(self.shape, np.int64) + self.layer.neuron.start(len(self.shape))

    def step(self, sources: Payloads, state: Any) -> tuple[torch.Tensor, Any, np.ndarray]:
        """See :class:`Form`."""
        total, counts = self._total(sources)
        z, v, outside = self.layer.neuron.step(state, total[0], len(self.shape), self.overflow)
        counts[0] += outside
        return self._payload(z[None]), v, counts

    def state_array(self, state: Any) -> np.ndarray:
        """See :class:`Form`."""
        array: np.ndarray = state
        return array

    def state_from(self, v: np.ndarray) -> np.ndarray:
        """See :class:`Form`."""
        return v.astype(np.int64)

    def arm_overflows(self, k: int, source: torch.Tensor) -> int:
        """How many sums of synapse k leave 24 bits for a payload of its source."""
        x = to_array(source, self._shapes[k]).astype(np.int64)
        return fit_state(self.layer.synapses[k].sum(x))[1]

    def _payload(self, z: np.ndarray) -> torch.Tensor:
        return from_array(z, self.byte, torch.float64)

    def _total(self, sources: Payloads) -> tuple[np.ndarray, np.ndarray]:
        counts = np.zeros(1 + len(sources), np.int64)
        arms = []
        for k, (synapse, source) in enumerate(zip(self.layer.synapses, sources, strict=True)):
            x = to_array(source, self._shapes[k]).astype(np.int64)
            a, counts[1 + k] = fit_state(synapse.sum(x))
            arms.append(a)
        total, counts[0] = fit_state(sum(arms[1:], arms[0]))
        if self.layer.bias is not None:
            total = total + self.layer.channels(self.layer.bias)
        return total, counts
