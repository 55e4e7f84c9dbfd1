"""What a network does after an epoch: accuracy on held-out samples, and activity per layer.

Counted in the forwards that measure the accuracy, over the first of the samples, with the
payloads z(n, c, i, t) of the exported integers: samples n, channels c, places i, timesteps t::

    events    = sum [z != 0] / samples
    saturated = share of messages with z = N, the largest level
    dead      = channels c that send nothing in any sample, place and timestep
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lava_mlsnn.export import connections
from lava_mlsnn.models import MultiLevelNetwork
from lava_mlsnn.training.config import LayerReport
from lava_mlsnn.training.evaluate import accuracy

__all__ = ["COUNTED", "Meter"]

COUNTED = 256  # samples; of more the figures hardly move


class Meter:
    """Measures one network again and again; it is left as it was, training mode included.

    Parameters
    ----------
    model : MultiLevelNetwork
        In training.
    x : ndarray of float32, (N, C, H, W) or (N, C, H, W, T)
        Samples.
    y : ndarray of int64, (N,)
        Their labels, as the network numbers them.
    """

    def __init__(self, model: MultiLevelNetwork, x: np.ndarray, y: np.ndarray) -> None:
        self.model, self.x, self.y = model, x, y
        self._spiking = {
            name: population
            for name, population, _ in connections(model)
            if population.neuron is not None
        }

    def layers(self) -> tuple[int, dict[str, LayerReport]]:
        """Right classes among the first samples, and what each spiking population sends.

        Populations go by their names in the exported file.
        """
        counts = {name: _Count(p.neuron.levels) for name, p in self._spiking.items() if p.neuron}
        handles = [p.register_forward_hook(counts[name]) for name, p in self._spiking.items()]
        x, y = self.x[:COUNTED], self.y[:COUNTED]
        try:
            right = round(accuracy(self.model, x, y) * len(y))
        finally:
            for handle in handles:
                handle.remove()
        return right, {name: count.result(len(y)) for name, count in counts.items()}

    def all(self) -> tuple[float, dict[str, LayerReport]]:
        """Accuracy of the exported integers over all samples, 0..1, and :meth:`layers`."""
        right, layers = self.layers()
        x, y = self.x[COUNTED:], self.y[COUNTED:]
        if len(y):
            right += round(accuracy(self.model, x, y) * len(y))
        return right / len(self.y), layers


class _Count:
    """Sums of one population, on its device: to read them at once would wait for a GPU."""

    def __init__(self, levels: int) -> None:
        self.levels, self.messages = levels, 0
        self.sent: Any = 0  # per channel
        self.largest: Any = 0

    def __call__(self, module: torch.nn.Module, inputs: object, z: torch.Tensor) -> None:
        self.messages += z.numel()
        self.sent = self.sent + z.count_nonzero([0, *range(2, z.dim())])
        self.largest = self.largest + (z >= self.levels).sum()

    def result(self, samples: int) -> LayerReport:
        sent = self.sent.tolist()
        saturated = int(self.largest) / self.messages
        return LayerReport(sum(sent) / samples, saturated, sent.count(0), len(sent))
