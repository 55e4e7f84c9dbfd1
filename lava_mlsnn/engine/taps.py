"""A population at T = 1 that adds and subtracts payloads channel by channel, in bytes.

Max pooling is made of such layers (``max(a, b) = a + max(b - a, 0)``), and a convolution
has nothing to do there but to move memory. With P the sum of the payloads that count
as +vth, M of those that count as -vth, and 0 <= bias + V0 < vth:
``clip(floor((vth (P - M) + bias + V0) / vth), 0, N) = min(max(P, M) - M, N)``.
Exact in bytes if neither sum can leave them. Ours.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import numpy as np
import torch

from lava_mlsnn.engine.form import NOTHING, Momentary, Payloads
from lava_mlsnn.engine.general import General
from lava_mlsnn.engine.payload import BYTE_MAX, plain
from lava_mlsnn.engine.weights import thresholds
from netx_export.spec import Conv, Identity, MultiLevel, Population, Synapse

__all__ = ["Taps", "tap"]

Tap = tuple[int, int, slice, slice]  # synapse, +1 or -1, rows and columns that it reads


class Taps(Momentary):
    """See the module; made by :func:`tap`.

    Parameters
    ----------
    layer : Population
        What it computes.
    taps : list of Tap
        At least one of them +1.
    largest : int
        Of P.
    general : callable
        Makes the same population as :class:`General`, for its state.
    """

    def __init__(
        self, layer: Population, taps: list[Tap], largest: int, general: Callable[[], General]
    ) -> None:
        super().__init__(layer.name, layer.shape, general)
        self._taps = sorted(taps, key=lambda t: -t[1])
        self._added = sum(sign > 0 for _, sign, _, _ in taps)
        levels = layer.neuron.spike_levels
        self._most = levels if largest > levels else None

    def run(
        self, sources: Payloads, timesteps: int = 1, free: Container[int] = ()
    ) -> tuple[torch.Tensor, np.ndarray]:
        """See :class:`Form`; T is 1."""
        views = [plain(sources[k])[:, :, rows, columns] for k, _, rows, columns in self._taps]
        z = _sum(views[: self._added])
        if len(views) > self._added:
            less = _sum(views[self._added :])
            z = torch.maximum(z, less).sub_(less)
        if self._most is not None:
            z = z.clamp(max=self._most)
        return z.clone() if any(z is view for view in views) else z, NOTHING

    def bytes(self, timesteps: int) -> int:
        """Payloads in and out."""
        return 2

    def owned(self) -> list[Any]:
        """See :class:`Form`."""
        return []


def _sum(views: list[torch.Tensor]) -> torch.Tensor:
    total = views[0]
    for k, view in enumerate(views[1:]):
        total = total.add_(view) if k else total + view
    return total


def tap(layer: Population, source_max: list[int], general: Callable[[], General]) -> Taps | None:
    """The layer as :class:`Taps`, or None where it is not such a layer.

    Parameters
    ----------
    layer : Population
        Of a network with T = 1, whose worst case fits and whose sources send bytes.
    source_max : list of int
        Largest payload of every synapse's source.
    general : callable
        Makes the same layer as :class:`General`.
    """
    neuron = layer.neuron
    if not isinstance(neuron, MultiLevel) or neuron.levels > BYTE_MAX or len(layer.shape) != 3:
        return None
    vth, bias = thresholds(layer, neuron)
    if (bias < 0).any() or (bias >= vth).any():
        return None
    taps: list[Tap] = []
    for index, synapse in enumerate(layer.synapses):
        found = _taps_of(index, synapse, vth, layer.shape[1:])
        if found is None:
            return None
        taps += found
    sums = [sum(source_max[k] for k, sign, _, _ in taps if sign == s) for s in (1, -1)]
    if not sums[0] or max(sums) > BYTE_MAX:
        return None
    return Taps(layer, taps, sums[0], general)


def _taps_of(
    index: int, synapse: Synapse, vth: np.ndarray, size: tuple[int, ...]
) -> list[Tap] | None:
    """What a synapse adds and subtracts; None if it does anything else."""
    if synapse.weight_exp < 0:
        return None
    if isinstance(synapse, Identity):
        weight, stride, dilation = synapse.weight[:, None, None, None], (1, 1), (1, 1)
    elif type(synapse) is Conv and synapse.weight.shape[1] == 1 and synapse.padding == (0, 0):
        weight, stride, dilation = synapse.weight, synapse.stride, synapse.dilation
        if synapse.groups != len(weight):
            return None
    else:
        return None
    weight = weight.astype(np.int64) << synapse.weight_exp
    sign = np.sign(weight[0, 0])
    if not np.array_equal(weight[:, 0], sign * vth[:, None, None]):
        return None
    taps: list[Tap] = []
    for place in zip(*map(list, np.nonzero(sign)), strict=True):
        rows, columns = (
            slice(d * k, d * k + s * (n - 1) + 1, s)
            for k, s, d, n in zip(place, stride, dilation, size, strict=True)
        )
        taps.append((index, int(sign[place]), rows, columns))
    return taps
