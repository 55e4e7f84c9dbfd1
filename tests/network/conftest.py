"""Small networks, and a reference that is a plain loop over layers and timesteps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from netx_export.spec import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)


def _residual(timesteps: int = 1, levels: int = 4, seed: int = 0, half: bool = False):
    """Identity shortcut, strided 1x1 shortcut, odd sizes, flatten, two input channels."""
    rng = np.random.default_rng(seed)

    def w(*shape: int) -> np.ndarray:
        return rng.integers(-12, 14, shape)

    def neuron(channels: int) -> MultiLevel:
        vth = rng.integers(6 * levels + 1, 15 * levels, channels)
        return MultiLevel(levels, vth, vth // 2 if half else vth * 0)

    def bias(channels: int) -> np.ndarray:
        return rng.integers(-9, 20, channels)

    gain = rng.integers(5 * levels, 15 * levels, 4)
    same = {"padding": (1, 1)}
    down = {"stride": (2, 1), "padding": (1, 1)}
    return NetworkSpec(
        (
            Input((2, 7, 5), levels=levels),
            Population("stem", (4, 7, 5), (Conv(0, w(4, 2, 3, 3), **same),), neuron(4), bias(4)),
            Population("b1.c1", (4, 7, 5), (Conv(1, w(4, 4, 3, 3), **same),), neuron(4), bias(4)),
            Population(
                "b1.c2",
                (4, 7, 5),
                (Conv(2, w(4, 4, 3, 3), **same), Identity(1, gain)),
                neuron(4),
                bias(4),
            ),
            Population("b2.c1", (6, 4, 5), (Conv(3, w(6, 4, 3, 3), **down),), neuron(6)),
            Population(
                "b2.c2",
                (6, 4, 5),
                (Conv(4, w(6, 2, 3, 3), groups=3, **same), Conv(3, w(6, 4, 1, 1), stride=(2, 1))),
                neuron(6),
            ),
            Flatten(5, (120,)),
            Population("out", (3,), (Dense(6, w(3, 120), weight_exp=-1),), Readout(), bias(3)),
        ),
        timesteps=timesteps,
    )


def _by_hand(spec: NetworkSpec, x: np.ndarray) -> dict[str, np.ndarray]:
    """Python loops over every sum: slow, and shares no code with the kernels."""
    layers: dict[str, np.ndarray] = {}
    for name, shape in ((p.name, p.shape) for _, p in spec.populations):
        layers[name] = np.zeros((len(x), *shape, spec.timesteps), np.int64)
    for n, sample in enumerate(x):
        states: dict[int, np.ndarray] = {}
        for t in range(spec.timesteps):
            sent: dict[int, np.ndarray] = {}
            for index, layer in enumerate(spec.layers):
                if isinstance(layer, Input):
                    sent[index] = sample if sample.ndim == len(layer.shape) else sample[..., t]
                    continue
                if isinstance(layer, Flatten):
                    sent[index] = sent[layer.source].reshape(-1)
                    continue
                column = (-1,) + (1,) * (len(layer.shape) - 1)
                total = np.zeros(layer.shape, np.int64)
                for synapse in layer.synapses:
                    total += _sum(synapse, sent[synapse.source], layer.shape)
                if layer.bias is not None:
                    total += layer.bias.reshape(column)
                if isinstance(layer.neuron, MultiLevel):
                    vth = layer.neuron.vth.reshape(column)
                    v = states.get(index, layer.neuron.v0.reshape(column)) + total
                    sent[index] = np.minimum(np.maximum(v // vth, 0), layer.neuron.levels)
                    states[index] = v - vth * sent[index]
                else:
                    states[index] = states.get(index, 0) + total
                    sent[index] = states[index]
                layers[layer.name][n, ..., t] = sent[index]
    return layers


def _sum(synapse, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape, np.int64)
    if isinstance(synapse, Identity):
        out = x * synapse.weight.reshape((-1,) + (1,) * (x.ndim - 1))
    elif isinstance(synapse, Dense):
        out = synapse.weight.astype(np.int64) @ x
    else:
        (ph, pw), (sh, sw) = synapse.padding, synapse.stride
        padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw)))
        per_group = shape[0] // synapse.groups
        fan_in = synapse.weight.shape[1]
        _, _, kh, kw = synapse.weight.shape
        for c, i, j in np.ndindex(*shape):
            first = (c // per_group) * fan_in
            patch = padded[first : first + fan_in, i * sh : i * sh + kh, j * sw : j * sw + kw]
            out[c, i, j] = (patch * synapse.weight[c]).sum()
    exponent = synapse.weight_exp
    return out << exponent if exponent >= 0 else out >> -exponent


@pytest.fixture(scope="session")
def residual() -> Callable:
    return _residual


@pytest.fixture(scope="session")
def by_hand() -> Callable:
    return _by_hand
