"""The network as it is built for the chip, in stock Lava's own simulator of its synapses.

Independent of our synapse Processes, of the engine and of the stand-in.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("lava.magma")

from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn import IntegerRunner
from lava_mlsnn.lava.network import Network
from lava_mlsnn.lava.session import LavaSession
from lava_mlsnn.proc import Record, Stream
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

pytestmark = [pytest.mark.lava, pytest.mark.timeout(180)]


def even_network(timesteps, levels):
    """Even weights without exponents: stock Lava's convolution on the CPU knows no other."""
    rng = np.random.default_rng(levels)

    def conv(source, out, inner, kernel=3, stride=1):
        w = 2 * rng.integers(-12, 14, (out, inner, kernel, kernel))
        return Conv(source, w, stride=(stride, stride), padding=(kernel // 2, kernel // 2))

    def layer(name, shape, *synapses):
        vth = rng.integers(12 * levels + 1, 30 * levels, shape[0])
        neuron = MultiLevel(levels, vth, vth // 2)
        return Population(name, shape, synapses, neuron, rng.integers(-9, 20, shape[0]))

    gain = Identity(1, rng.integers(20, 60, 4))
    return NetworkSpec(
        (
            Input((2, 7, 5), levels),
            layer("stem", (4, 7, 5), conv(0, 4, 2)),
            layer("b1.c1", (4, 7, 5), conv(1, 4, 4)),
            layer("b1.c2", (4, 7, 5), conv(2, 4, 4), gain),
            layer("b2.c1", (6, 4, 3), conv(3, 6, 4, stride=2)),
            layer("b2.c2", (6, 4, 3), conv(4, 6, 6), conv(3, 6, 4, 1, 2)),
            Flatten(5, (72,)),
            Population("out", (3,), (Dense(6, 2 * rng.integers(-12, 14, (3, 72))),), Readout()),
        ),
        timesteps,
    )


@pytest.mark.parametrize("timesteps, levels", [(1, 4), (3, 1)])
def test_stock_synapses_give_the_same_integers(timesteps, levels):
    spec = even_network(timesteps, levels)
    x = np.random.default_rng(1).integers(0, levels + 1, (3, *spec.input.shape))
    network = Network(spec, target="loihi2")
    source = Stream(data=np.repeat(x, timesteps, axis=0).transpose(0, 3, 2, 1).astype(np.int32))
    steps = 3 * timesteps
    out = Record(shape=network.out.shape, steps=steps, start=network.latency)
    source.s_out.connect(network.inp)
    network.out.connect(out.a_in)
    config = Loihi2SimCfg(select_tag="fixed_pt", select_sub_proc_model=True)
    with LavaSession(source, config) as session:
        session.run(steps + network.latency, timeout=120)
    expected = IntegerRunner(spec, kind="reference").run(x).output
    found = np.moveaxis(out.data.reshape(3, timesteps, -1), 1, -1)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected)) > 2
