"""Max pooling that exports exactly at one timestep.

Of payloads, ``max(a, b) = a + relu(b - a)``, and at T = 1 a neuron with threshold 1 and
V0 = 0 is ``z = clip(H, 0, N)``: a rectifier of differences. Columns first, then rows, the
maximum ``m_k`` of k neighbours in steps of the dilation comes from w, the largest power
of two below k::

    m_1[i] = x[i]
    m_k[i] = m_w[i] + relu(m_w[i + k - w] - m_w[i])      or m_1[i + w] where k = w + 1

A maximum is never sent: it stays the sum of the pixel it began with and the differences
on the way, which the next population reads as synapses of its own. So there is one
population per difference, and a last one that sends the sum. Ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from lava_mlsnn.checks import check_flag, check_whole
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.neuron.pooled import max_pooled
from lava_mlsnn.population.layout import fold_time, unfold_time
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.sized import Sized
from lava_mlsnn.population.synapses import PickSynapse, pair
from lava_mlsnn.slayer.block.base import Block
from netx_export.builder import Builder
from netx_export.spec.checks import check_shape
from netx_export.spec.kernels import Pair
from netx_export.spec.widths import STATE_MAX

__all__ = ["MaxPool", "Rectifier"]


@dataclass(frozen=True)
class _Lattice:
    """Pixels ``start + step * i`` of an axis, i below count."""

    start: int
    step: int
    count: int

    @property
    def last(self) -> int:
        return self.start + self.step * (self.count - 1)

    def over(self, shift: int) -> _Lattice:
        """The coarsest that has its pixels, and those ``shift`` further."""
        step = math.gcd(self.step if self.count > 1 else 0, shift)
        return _Lattice(self.start, step, (self.last + shift - self.start) // step + 1)

    def inside(self, size: int) -> _Lattice:
        """What of it lies in an image of that size."""
        start = self.start + self.step * max(0, -(self.start // self.step))
        return _Lattice(start, self.step, (min(self.last, size - 1) - start) // self.step + 1)


@dataclass(frozen=True)
class _Step:
    """One difference: of m_k, on its pixels, from m_w and what stands ``shift`` further."""

    on: _Lattice
    shift: int
    from_pixels: bool  # what stands further is m_1, not m_w


def _steps(k: int, dilation: int, on: _Lattice) -> list[_Step]:
    """The differences of one axis, and ``on``, where the maximum of k pixels is wanted."""
    if k == 1:
        return []
    w = 1 << ((k - 1).bit_length() - 1)
    shift = (k - w) * dilation
    if k == w + 1:
        return [*_steps(w, dilation, on), _Step(on, w * dilation, True)]
    return [*_steps(w, dilation, on.over(shift)), _Step(on, shift, False)]


def _read(steps: list[_Step], final: _Lattice) -> _Lattice:
    """The pixels of m_1 that an axis reads."""
    spans = [step.on.over(step.shift) for step in steps] or [final]
    gap = math.gcd(*(span.step for span in spans))
    return _Lattice(final.start, gap, (max(s.last for s in spans) - final.start) // gap + 1)


class Rectifier(Population):
    """Differences of payloads to ``clip(sum, 0, N)``: a population at T = 1."""

    def __init__(self, synapses: list[PickSynapse], levels: int, first: bool) -> None:
        neuron = MultiLevelNeuron(threshold=1.0, levels=levels)
        super().__init__(synapses, neuron, Scaling("fixed", fixed=1.0))
        self.length = None  # nothing to carry into another timestep
        if first:
            self.takes = (0, levels)

    def forward(self, *xs: torch.Tensor) -> torch.Tensor:
        """See :class:`Population`; ConfigError for payloads that are not in 0..N."""
        _check_static(xs[0])
        if self.takes and self.precision == "integer" and not self.training and xs[0].numel():
            low, high = (float(x) for x in xs[0].detach().aminmax())
            if low < 0 or high > self.takes[1]:
                raise ConfigError(
                    f"block.MaxPool is built for payloads in 0..{self.takes[1]} (payload_max), "
                    f"got {low:g}..{high:g}"
                )
        return super().forward(*xs)

    def layers(self, builder: Builder, name: str, *sources: int) -> int:
        """See :class:`Population`."""
        return super().layers(builder, name, *sources)


def _check_static(x: torch.Tensor) -> None:
    if x.shape[-1] != 1:
        raise ConfigError(
            f"block.MaxPool is exact at T = 1 alone, got T = {x.shape[-1]}; use block.Pool or a "
            "stride there"
        )


class MaxPool(Sized, Block):  # type: ignore[override]
    """Max pooling, (N, C, H, W, 1) to (N, C, H', W', 1): ``torch.nn.functional.max_pool2d``.

    ceil(log2 kH) + ceil(log2 kW) + 1 populations, as many timesteps of latency.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W).
    kernel_size, stride, padding, dilation : int or (int, int)
        Window, in (H, W) order; the stride defaults to the window. Payloads are not
        negative, so that padding with zeros is torch's padding.
    ceil_mode : bool
        As torch's.
    payload_max : int
        Largest payload of the source, the attribute of that name of the block before.
    count_log : bool
        See :class:`Block`.

    Raises
    ------
    ConfigError
        For a window that does not fit or lies in the padding as a whole; in a forward, for
        T above 1, or payloads outside 0..payload_max in integer precision.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        ceil_mode: bool = False,
        *,
        payload_max: int,
        count_log: bool = False,
    ) -> None:
        super().__init__(count_log)
        input_shape = check_shape(input_shape, ConfigError)
        if len(input_shape) != 3:
            raise ConfigError(f"pooling needs an input of shape (C, H, W), got {input_shape}")
        check_flag("ceil_mode", ceil_mode)
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(kernel_size if stride is None else stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)
        self.dilation = pair(dilation, "dilation", 1)
        self.ceil_mode = ceil_mode
        self.payload_max = check_whole("payload_max", payload_max, 1, STATE_MAX)
        self.columns, self.rows = torch.nn.ModuleList(), torch.nn.ModuleList()
        self._wire(input_shape)

    def _wire(self, shape: tuple[int, ...]) -> None:
        height, width = shape[1:]
        rows, columns = self._final(0, height), self._final(1, width)
        down = _steps(self.kernel_size[0], self.dilation[0], rows)
        across = _steps(self.kernel_size[1], self.dilation[1], columns)
        lines = _read(down, rows).inside(height)
        lattices = [(_Lattice(0, 1, height), _Lattice(0, 1, width))]

        def population(
            rows: _Lattice, columns: _Lattice, taps: dict[int, dict[Pair, int]]
        ) -> Rectifier:
            """Neurons on a lattice; per source and pixel further (down, across): 1 or -1."""
            synapses = [
                _pick(shape[0], lattices[source], (rows, columns), picked)
                for source, picked in taps.items()
            ]
            lattices.append((rows, columns))
            return Rectifier(synapses, self.payload_max, len(lattices) == 2)

        for axis, steps, stages in ((1, across, self.columns), (0, down, self.rows)):
            pixels = len(lattices)  # m_1 of this axis is the sum of these
            for step in steps:
                far: Pair = (0, step.shift) if axis else (step.shift, 0)
                taps = {s: {(0, 0): -1} for s in range(len(lattices))}
                for source in range(pixels if step.from_pixels else len(lattices)):
                    taps[source][far] = 1
                where = (lines, step.on) if axis else (step.on, columns)
                stages.append(population(*where, taps))
        taps = {s: {(0, 0): 1} for s in range(len(lattices))}
        self.max = population(rows, columns, taps)
        self._shapes = shape, self.max.shape

    def _final(self, axis: int, size: int) -> _Lattice:
        """The first pixel of every window, as torch places them."""
        k, s = self.kernel_size[axis], self.stride[axis]
        p, d = self.padding[axis], self.dilation[axis]
        room = size + 2 * p - d * (k - 1) - 1
        count = (room + (s - 1 if self.ceil_mode else 0)) // s + 1
        if self.ceil_mode and (count - 1) * s >= size + p:
            count -= 1  # it would begin behind the image
        if count < 1:
            raise ConfigError(f"pool {self.kernel_size} does not fit an axis of {size}")
        taps = range(-p, d * k - p, d)
        if 2 * p > k or not all(any(0 <= s * i + tap < size for tap in taps) for i in range(count)):
            raise ConfigError(
                f"padding must be at most half of the kernel {self.kernel_size}, and every window "
                f"must have a pixel of the image, got padding {self.padding}"
            )
        return _Lattice(-p, s, count)

    def forward(self, x: torch.Tensor) -> Any:
        """NCHWT in, NCHWT out; torch's own pooling in training."""
        self.take(tuple(x.shape[1:-1]))
        if self.training:
            _check_static(x)
            window = (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
            return self.logged(unfold_time(max_pooled(fold_time(x), *window), 1))
        values = [x]
        for population in (*self.columns, *self.rows):
            values.append(population(*values))
        return self.logged(self.max(*values))


def _pick(
    channels: int,
    source: tuple[_Lattice, _Lattice],
    target: tuple[_Lattice, _Lattice],
    taps: dict[Pair, int],
) -> PickSynapse:
    """The synapse that reads, at every pixel of the target, the pixels ``taps`` further."""
    stride, padding, size = [], [], []
    places = []
    for axis, (s, t) in enumerate(zip(source, target, strict=True)):
        step = t.step // s.step if t.count > 1 else s.count
        offsets = [(t.start + far[axis] - s.start) // s.step for far in taps]
        reach = step * (t.count - 1)
        pad = max(0, -min(offsets), max(offsets) + 1 + reach - s.count)
        # so large that there are as many outputs as the target has
        kernel = max(max(offsets) + pad + 1, s.count + 2 * pad - reach - step + 1)
        stride.append(step)
        padding.append(pad)
        size.append(kernel)
        places.append([offset + pad for offset in offsets])
    # values, also where shapes alone are asked for (torch.device("meta"))
    kernel_ = torch.zeros(size, dtype=torch.int8, device="cpu")
    for row, column, sign in zip(*places, taps.values(), strict=True):
        kernel_[row, column] = sign
    shape = (channels, source[0].count, source[1].count)
    return PickSynapse(shape, kernel_, (stride[0], stride[1]), (padding[0], padding[1]))
