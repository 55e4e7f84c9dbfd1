"""Networks drawn by Hypothesis, for any test; they are made in ``trust/networks.py``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

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
from netx_export.spec.ranges import worst_case
from trust.networks import LEVELS, assert_same, drawn, payloads

__all__ = ["LEVELS", "assert_same", "network_specs", "payloads", "trained_like"]


class _Hypothesis:
    """Answers that shrink."""

    def __init__(self, draw):
        self.draw = draw

    def whole(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def of(self, items: Sequence):
        return self.draw(st.sampled_from(items))


@st.composite
def network_specs(draw, levels=None, timesteps=None, residual=None, transposed=True):
    """Small networks whose worst case fits 24 bits.

    Parameters
    ----------
    levels : int, optional
        N of the neurons; drawn if not given.
    timesteps : int, optional
        T; drawn from 1, 2, 4 if not given.
    residual : bool, optional
        Whether there are residual blocks (needs an image input); drawn if not given.
    transposed : bool
        Whether a transposed convolution may stand behind them.
    """
    spec = drawn(_Hypothesis(draw), levels, timesteps, residual, transposed)
    assume(spec is not None)
    return spec


@st.composite
def trained_like(draw):
    """A residual network as the exporter makes it: unit shortcuts, one exponent, T = 1.

    Biases are set so that many sums lie exactly on a threshold or one below it.
    """
    levels = draw(st.sampled_from([1, 2, 4, 15, 127, 255]))
    top = draw(st.sampled_from([1, 4, 127, 255]))
    exponent = draw(st.sampled_from([0, 0, 1, 3]))
    even = draw(st.booleans())
    half = draw(st.booleans())
    size = (draw(st.integers(2, 6)), draw(st.integers(2, 6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    c, d = int(rng.choice([2, 3, 16, 33])), int(rng.choice([2, 16, 24]))

    def weights(*shape):
        w = rng.integers(-127, 128, shape)
        return 2 * w if even else w

    def neuron(channels, fan_in, source):
        reach = np.sqrt(fan_in) * 100 * (source + 1) * 2.0**exponent / levels
        vth = np.maximum(2, rng.uniform(0.2, 1.5, channels) * reach).astype(int)
        vth = np.minimum(vth, (1 << 20) // (levels + 1))
        m = np.minimum(vth, 255)  # a weight that a unit shortcut can have
        return MultiLevel(levels, m, m // 2 if half else m * 0)

    def population(name, source, channels, kernel, stride=1, extra=(), fan_source=None):
        shape = layers[source].shape
        w = weights(channels, shape[0], kernel, kernel)
        conv = Conv(source, w, exponent, (stride,) * 2, (kernel // 2,) * 2)
        n = neuron(channels, w[0].size, levels if source else top)
        layers.append(
            Population(
                name, conv.output_shape(shape), (conv, *extra), n, rng.integers(-99, 99, channels)
            )
        )
        return len(layers) - 1

    layers = [Input((c, *size), top)]
    stem = population("stem", 0, d, 3)
    first = population("conv1", stem, d, 3)
    second = population("conv2", first, d, 3)
    unit = Identity(stem, layers[second].neuron.vth)
    arms = (*layers[second].synapses, unit)
    layers[second] = Population(
        "conv2",
        layers[second].shape,
        arms[::-1] if draw(st.booleans()) else arms,
        layers[second].neuron,
        layers[second].bias,
    )
    down = population("down1", second, d + 8, 3, stride=2)
    last = population("down2", down, d + 8, 3)
    project = Conv(second, weights(d + 8, d, 1, 1), exponent, (2, 2))
    layers[last] = Population(
        "down2", layers[last].shape, (*layers[last].synapses, project), layers[last].neuron
    )
    flat = int(np.prod(layers[last].shape))
    layers.append(Flatten(last, (flat,)))
    hidden = MultiLevel(levels, np.array([min(levels * 40, 2000)]), np.array([0]))
    layers.append(Population("dense", (20,), (Dense(len(layers) - 1, weights(20, flat)),), hidden))
    layers.append(Population("out", (10,), (Dense(len(layers) - 1, weights(10, 20)),), Readout()))
    spec = NetworkSpec(tuple(layers))
    assume(all(r.fits for r in worst_case(spec)))
    return spec
