"""How active a network is: events and payload, per layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from netx_export.spec import NetworkSpec

__all__ = ["ActivityMeter", "LayerActivity"]


@dataclass(frozen=True)
class LayerActivity:
    """Activity of one layer of spiking neurons.

    Attributes
    ----------
    layer : str
        Name.
    neurons : int
        Size.
    events : float
        Non-zero messages per sample.
    payload : float
        Sum of payload magnitudes per sample.
    """

    layer: str
    neurons: int
    events: float
    payload: float

    @property
    def events_per_neuron(self) -> float:
        """Events per neuron and sample."""
        return self.events / self.neurons


class ActivityMeter:
    """Adds up the activity of traced batches; the output readout is left out.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        last = len(spec.layers) - 1
        self._neurons = {p.name: math.prod(p.shape) for i, p in spec.populations if i != last}
        self._events = dict.fromkeys(self._neurons, 0)
        self._payload = dict.fromkeys(self._neurons, 0)
        self.samples = 0

    def add(self, layers: dict[str, np.ndarray]) -> None:
        """Count a batch: payloads (N, ..., T) of every layer, as a trace holds them."""
        if not layers:
            return
        self.samples += len(next(iter(layers.values())))
        for name in self._neurons:
            values = layers[name]
            self._events[name] += int(np.count_nonzero(values))
            unsigned = values.dtype.kind == "u"
            self._payload[name] += int((values if unsigned else np.abs(values)).sum())

    def layers(self) -> list[LayerActivity]:
        """Per layer, in file order; empty without samples."""
        if not self.samples:
            return []
        return [
            LayerActivity(
                name, neurons, self._events[name] / self.samples, self._payload[name] / self.samples
            )
            for name, neurons in self._neurons.items()
        ]

    def events_per_neuron(self) -> float:
        """Events per neuron and sample over all layers together."""
        neurons = sum(self._neurons.values())
        return sum(self._events.values()) / max(1, self.samples * neurons)
