"""Drawn networks, for tests (by Hypothesis, ``tests/strategies.py``) and for long runs (by a seed).

Structure is chosen, one question at a time; numbers come from a chosen seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Protocol

import numpy as np

from netx_export.spec import (
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)
from netx_export.spec.ranges import worst_case

__all__ = ["LEVELS", "Choice", "Seeded", "assert_same", "drawn", "payloads", "seeded"]

LEVELS = (1, 2, 4, 8, 15)
Pair = tuple[int, int]


def assert_same(a: Any, b: Any, path: str = "spec") -> None:
    """Equal in every field, array types and shapes included; AssertionError names the first."""
    assert type(a) is type(b), (path, a, b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape, (path, a.dtype, b.dtype, a.shape, b.shape)
        assert np.array_equal(a, b), path
    elif hasattr(a, "__dataclass_fields__"):
        for f in fields(a):
            assert_same(getattr(a, f.name), getattr(b, f.name), f"{path}.{f.name}")
    elif isinstance(a, tuple):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}[{i}]")
    else:
        assert a == b, (path, a, b)


def payloads(spec: NetworkSpec, samples: int, seed: int = 0) -> np.ndarray:
    """Random input payloads (N, *shape) that use the whole range."""
    low, high = spec.input.payload
    rng = np.random.default_rng(seed)
    return rng.integers(low, high + 1, (samples, *spec.input.shape))


class Choice(Protocol):
    """Who answers what a network is like."""

    def whole(self, low: int, high: int) -> int:
        """A number in ``low..high``."""

    def of(self, items: Sequence[Any]) -> Any:
        """One of the items."""


class Seeded:
    """Answers drawn by a seed: the same network for ever."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def whole(self, low: int, high: int) -> int:
        """A number in ``low..high``."""
        return int(self.rng.integers(low, high, endpoint=True))

    def of(self, items: Sequence[Any]) -> Any:
        """One of the items."""
        return items[int(self.rng.integers(len(items)))]


class _Maker:
    """Adds layers; structure is chosen, numbers come from a chosen seed."""

    def __init__(self, choose: Choice, levels: int) -> None:
        self.levels = levels
        self.rng = np.random.default_rng(choose.whole(0, 2**32 - 1))
        self.layers: list[Any] = []
        self.exponents = choose.of([(0,), (0,), (-1, 0, 1, 3)])

    def add(self, layer: Any) -> int:
        self.layers.append(layer)
        return len(self.layers) - 1

    def shape(self, index: int) -> Any:
        return self.layers[index].shape

    def flip(self, chance: float = 0.5) -> bool:
        return bool(self.rng.random() < chance)

    def weights(self, shape: tuple[int, ...]) -> np.ndarray:
        """Each of the three kinds of an 8-bit synapse group."""
        kind = self.rng.choice(3, p=[0.45, 0.45, 0.1])
        top = int(self.rng.choice([3, 30, 127]))
        if kind == 0:
            return self.rng.integers(-top - 1, top + 1, shape)
        if kind == 1:
            return 2 * self.rng.integers(-top - 1, top + 1, shape)
        return self.rng.integers(0, 2 * top + 2, shape) * (1 if self.flip(0.8) else -1)

    def exponent(self) -> int:
        return int(self.rng.choice(self.exponents))

    def bias(self, shape: tuple[int, ...], size: int) -> np.ndarray | None:
        if self.flip(0.3):
            return None
        count = 1 if self.flip(0.2) else shape[0]
        return self.rng.integers(-size, size + 1, count)

    def population(self, synapses: list[Any], levels: int | None = None) -> int:
        """Neurons whose thresholds stand in proportion to what usually arrives."""
        shape = synapses[0].output_shape(self.shape(synapses[0].source))
        levels = levels or self.levels
        arriving = 1.0
        for s in synapses:
            row = s.weight.reshape(s.weight.shape[0], -1).astype(float)
            typical = np.sqrt((row**2).sum(axis=1)).mean()
            source = self.layers[s.source]
            low, high = (
                self.layers[source.source] if isinstance(source, Flatten) else source
            ).payload
            arriving += typical * max(-low, min(high, 31)) / 2 * 2.0**s.weight_exp
        count = 1 if self.flip(0.3) else shape[0]
        part = self.rng.uniform(0.3, 2.5, count) * arriving / levels
        vth = np.maximum(1, part).astype(np.int64)
        v0 = vth // 2 if self.flip() else vth * 0
        scale = np.asarray(self.rng.uniform(1, 300, count)) if self.flip() else None
        return self.add(
            Population(
                f"layer{len(self.layers)}",
                shape,
                tuple(synapses),
                MultiLevel(levels, vth, v0),
                self.bias(shape, int(arriving / 2)),
                scale,
            )
        )

    def pair(self, low: int, high: int) -> Pair:
        """Two numbers in ``low..high``."""
        first, second = self.rng.integers(low, high + 1, 2)
        return int(first), int(second)

    def conv(
        self,
        source: int,
        kernel: Pair | None = None,
        stride: Pair | None = None,
        same: bool = False,
        out: int | None = None,
    ) -> Conv:
        c, h, w = self.shape(source)
        rng = self.rng
        k = kernel or (int(rng.integers(1, min(3, h) + 1)), int(rng.integers(1, min(3, w) + 1)))
        s = stride or ((1, 1) if same else self.pair(1, 2))
        d, p = (1, 1), (k[0] // 2, k[1] // 2)
        if not same and stride is None:
            d, p = self.pair(1, 2), self.pair(0, 2)
            fits = all(
                n + 2 * a >= b * (m - 1) + 1 for n, a, b, m in zip((h, w), p, d, k, strict=True)
            )
            d = d if fits else (1, 1)
        out = out or int(rng.integers(1, 9))
        groups = math.gcd(c, out) if self.flip(0.25) else 1
        weight = self.weights((out, c // groups, *k))
        return Conv(source, weight, self.exponent(), s, p, d, groups)

    def conv_transpose(self, source: int) -> ConvTranspose:
        c, h, w = self.shape(source)
        kernel, stride, dilation = self.pair(1, 3), self.pair(1, 2), self.pair(1, 2)
        first, second = (
            int(self.rng.integers(max(s, d))) for s, d in zip(stride, dilation, strict=True)
        )
        groups = c if self.flip(0.25) else 1
        weight = self.weights((c, int(self.rng.integers(1, 4)), *kernel))
        synapse = ConvTranspose(
            source, weight, self.exponent(), stride, (0, 0), dilation, groups, (first, second)
        )
        size = synapse.geometry.output_size((h, w))
        top, left = (int(self.rng.integers(0, min(2, (n - 1) // 2) + 1)) for n in size)
        return replace(synapse, padding=(top, left))

    def residual(self, source: int) -> int:
        """Two convolutions and a shortcut: identity, projection, or a relay of sums."""
        c = self.shape(source)[0]
        down = self.flip(0.4)
        stride = (2, 1) if down else (1, 1)
        out = int(self.rng.integers(1, 9)) if down else c
        first = self.population([self.conv(source, (3, 3), stride, out=out)])
        second = self.conv(first, (3, 3), same=True, out=out)
        if down:
            project = self.conv(source, (1, 1), stride, out=out)
            return self.population([second, project])
        if self.flip(0.3):
            spikes = self.population([second])
            arms = tuple(Identity(s, np.ones(c, int)) for s in (spikes, source))
            name = f"relay{len(self.layers)}"
            return self.add(Population(name, self.shape(spikes), arms, Readout(False, 8)))
        gain = self.rng.integers(1, 256, c)
        return self.population([second, Identity(source, gain, self.exponent())])

    def join(self, source: int) -> int:
        """A population that reads up to three layers of the source's height and width."""
        size = self.shape(source)[1:]
        found = [i for i in range(source) if len(self.shape(i)) == 3 and self.shape(i)[1:] == size]
        others = [int(i) for i in self.rng.permutation(found)[: int(self.rng.integers(1, 3))]]
        out = int(self.rng.integers(1, 9)) if self.flip() else self.shape(source)[0]
        arms: list[Any] = []
        for other in (source, *others):
            if self.shape(other)[0] == out and self.flip(0.4):
                arms.append(Identity(other, self.rng.integers(1, 256, out), self.exponent()))
            else:
                kernel = (1, 1) if self.flip() else (3, 3)
                arms.append(self.conv(other, kernel, same=True, out=out))
        return self.population(arms)


def drawn(
    choose: Choice,
    levels: int | None = None,
    timesteps: int | None = None,
    residual: bool | None = None,
    transposed: bool = True,
    joins: bool = False,
) -> NetworkSpec | None:
    """A small network; None where its worst case leaves 24 bits.

    ``levels``, ``timesteps`` and ``residual`` are chosen if not given; ``joins``: populations
    that read up to three layers before them, whichever have their height and width.
    """
    n = levels or choose.of(LEVELS)
    t = timesteps or choose.of([1, 1, 2, 4])
    has_residual = choose.of([False, True]) if residual is None else residual
    make = _Maker(choose, n)
    image = has_residual or choose.of([False, True])
    channels = choose.of([1, 2, 3, 8])
    size = (choose.whole(3, 7), choose.whole(3, 7))
    top, signed = choose.of([1, 4, 15]), choose.of([False, True])
    shape = (channels, *size) if image else (channels * size[0],)
    last = make.add(Input(shape, top, signed, choose.of([1.0, 0.3, 15.0])))
    if image:
        for _ in range(choose.whole(1, 2)):
            last = make.population([make.conv(last)])
        for _ in range(choose.whole(1, 2) if has_residual else 0):
            last = make.residual(last)
        for _ in range(choose.whole(0, 2) if joins else 0):
            last = make.join(last)
        if transposed and make.flip(0.3):
            last = make.population([make.conv_transpose(last)])
        flat = math.prod(make.shape(last))
        last = make.add(Flatten(last, (flat,), f"flatten{last + 1}"))
    for _ in range(choose.whole(0, 1)):
        weight = make.weights((choose.whole(1, 6), make.shape(last)[0]))
        last = make.population([Dense(last, weight, make.exponent())])
    weight = make.weights((choose.whole(1, 5), make.shape(last)[0]))
    make.add(
        Population(
            "output",
            (weight.shape[0],),
            (Dense(last, weight, make.exponent()),),
            Readout(),
            make.bias((weight.shape[0],), 500),
        )
    )
    spec = NetworkSpec(tuple(make.layers), t, {"made": "by a test", "numbers": [1, 2.5, None]})
    return spec if all(r.fits for r in worst_case(spec)) else None


def seeded(seed: int, **options: Any) -> NetworkSpec:
    """The first drawn network that fits 24 bits."""
    choose = Seeded(seed)
    while (spec := drawn(choose, **options)) is None:
        pass
    return spec
