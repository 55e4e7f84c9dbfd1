"""A population at T = 1 as one 8-bit convolution whose rescaling is the neuron.

Possible where nothing outlives the timestep: multi-level neurons that start at V0,
bytes in and out, weights that fit signed bytes. Shortcuts come along:

* one-to-one with the weight vth in every channel (an identity shortcut of threshold
  1): ``floor((a + vth s) / vth) = floor(a / vth) + s``, added to the rescaled sum;
* a strided 1 x 1 convolution: the values that it reads are put beside the other
  source's channels, its weights into the middle of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import numpy as np
import torch

from lava_mlsnn.engine.form import NOTHING, Momentary, Payloads
from lava_mlsnn.engine.general import General
from lava_mlsnn.engine.int8 import pack_threshold, separates
from lava_mlsnn.engine.payload import BYTE_MAX, laid_out, plain
from lava_mlsnn.engine.probe import backend
from lava_mlsnn.engine.weights import ARMS, arm_of, halved, merged, ordinary, thresholds
from netx_export.spec import Identity, MultiLevel, Population

__all__ = ["Fused", "fuse"]


class Fused(Momentary):
    """See the module; made by :func:`fuse`.

    Parameters
    ----------
    layer : Population
        What it computes.
    fire : callable
        From :func:`lava_mlsnn.engine.int8.pack_threshold`.
    conv, shortcut, beside : int, int or None, (int, stride) or None
        Which synapse is the convolution, which the identity, which the 1 x 1.
    general : callable
        Makes the same population as :class:`General`, for its state.
    """

    def __init__(
        self,
        layer: Population,
        fire: Callable[..., torch.Tensor],
        conv: int,
        shortcut: int | None,
        beside: tuple[int, tuple[int, int]] | None,
        general: Callable[[], General],
    ) -> None:
        super().__init__(layer.name, layer.shape, general)
        self._fire = fire
        self._conv = conv
        self._shortcut = shortcut
        self._beside = beside

    def run(
        self, sources: Payloads, timesteps: int = 1, free: Container[int] = ()
    ) -> tuple[torch.Tensor, np.ndarray]:
        """See :class:`Form`; T is 1."""
        x = sources[self._conv]
        if self._beside is not None:
            index, (down, right) = self._beside
            x = laid_out(torch.cat([plain(x), plain(sources[index])[:, :, ::down, ::right]], 1))
        if self._shortcut is None:
            return self._fire(x), NOTHING
        return self._fire(x, sources[self._shortcut], self._shortcut in free), NOTHING

    def begin_anew(self) -> None:
        """See :class:`Form`."""
        packed = getattr(self._fire, "packed", None)
        if packed is not None:
            packed.cache_clear()

    def owned(self) -> list[Any] | None:
        """See :class:`Form`."""
        packed = getattr(self._fire, "packed", None)
        return None if packed is None else [packed(self._shortcut is not None, True)]


def fuse(
    layer: Population,
    source_max: list[int],
    general: Callable[[], General],
) -> Fused | None:
    """The layer as :class:`Fused`, or None where that is not exact.

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
    if not (isinstance(neuron, MultiLevel) and neuron.levels <= BYTE_MAX and backend()):
        return None
    if any(s.weight_exp < 0 for s in layer.synapses):  # rounds before the sum
        return None
    vth, bias = thresholds(layer, neuron)
    unit_arms, arms = [], []
    for index, synapse in enumerate(layer.synapses):
        if isinstance(synapse, Identity):
            if not np.array_equal(synapse.weight.astype(np.int64) << synapse.weight_exp, vth):
                return None
            unit_arms.append(index)
        elif type(synapse) in ARMS:
            arms.append((index, arm_of(synapse)))
        else:
            return None
    if len(unit_arms) > 1 or not 1 <= len(arms) <= 2:
        return None
    (conv, first), beside = arms[0], None
    weight = first.weight
    if len(arms) == 2:
        for (a, one), (b, other) in (arms, arms[::-1]):
            whole = merged(one, other)
            if whole is not None:
                conv, first, beside, weight = a, one, (b, other.stride), whole
                break
        else:
            return None
    small = halved(weight)
    shortcut = unit_arms[0] if unit_arms else None
    added = 0 if shortcut is None else source_max[shortcut]
    if small is None or not ordinary(first) or not separates(vth, bias, neuron.levels, added):
        return None
    unit = small[1] << first.exponent
    fire = pack_threshold(first, small[0], unit, vth, bias, neuron.levels, backend())
    return Fused(layer, fire, conv, shortcut, beside, general)
