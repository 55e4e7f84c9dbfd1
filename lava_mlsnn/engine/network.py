"""A whole network on batches of samples."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from lava_mlsnn.engine.int8 import running
from lava_mlsnn.engine.payload import from_array, plain, to_array
from lava_mlsnn.engine.plan import plan_layers

if TYPE_CHECKING:
    from netx_export.spec import NetworkSpec

__all__ = ["Engine", "flattened"]

Observe = Callable[[str, np.ndarray], None]


class Engine:
    """Computes batches of whole samples, layer by layer.

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level neurons and readouts.
    kind, overflow : str
        See :func:`lava_mlsnn.engine.plan.plan_layers`.
    """

    def __init__(self, spec: NetworkSpec, kind: str = "auto", overflow: str = "wrap") -> None:
        from netx_export.graph import order

        self.spec = spec
        with torch.inference_mode(), running():
            self.layers, self.byte = plan_layers(spec, kind, overflow)
        self.order = order(spec.layers)
        last_use = {s: i for i in self.order for s in spec.layers[i].sources}
        self._dead_after: dict[int, list[int]] = {}
        for source, user in last_use.items():
            self._dead_after.setdefault(user, []).append(source)

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
            (B, ..., T), in the engine's own memory: to be read, not changed.
        seconds : dict, optional
            Time of every layer is added to it, by name.

        Returns
        -------
        output : ndarray of int64, (B, F, T) or (B, C, H, W, T)
        overflows : dict of str to int
            Values that left 24 bits, per layer; only layers with any.
        """
        from netx_export.spec import Flatten, Input

        timesteps = self.spec.timesteps
        values: dict[int, torch.Tensor] = {}
        overflows: dict[str, int] = {}
        with torch.inference_mode(), running():
            for index in self.order:
                layer = self.spec.layers[index]
                began = time.perf_counter()
                if isinstance(layer, Input):
                    folded = np.moveaxis(x, -1, 0).reshape(-1, *layer.shape)
                    values[index] = from_array(folded, self.byte[index], torch.float64)
                elif isinstance(layer, Flatten):
                    values[index] = flattened(values[layer.source])
                else:
                    form = self.layers[index]
                    sources = [values[s] for s in layer.sources]
                    values[index], counts = form.run(sources, timesteps)
                    count = int(np.sum(counts))
                    if count:
                        overflows[layer.name] = count
                    if observe is not None:
                        observe(layer.name, self._samples(values[index], layer.shape))
                if seconds is not None:
                    took = time.perf_counter() - began
                    seconds[layer.name] = seconds.get(layer.name, 0.0) + took
                for source in self._dead_after.get(index, ()):
                    del values[source]
            last = len(self.spec.layers) - 1
            output = self._samples(values[last], self.spec.output.shape)
        return output.astype(np.int64), overflows

    def _samples(self, z: torch.Tensor, shape: tuple[int, ...]) -> np.ndarray:
        """(T * B, C, H, W) to (B, *shape, T), a view."""
        array = to_array(z, shape)
        return np.moveaxis(array.reshape(self.spec.timesteps, -1, *shape), 0, -1)


def flattened(z: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) to (B, C * H * W, 1, 1), channels first as in torch's flatten."""
    z = plain(z)
    return z.reshape(z.shape[0], -1, 1, 1)
