"""The answer of lava-dl's MNIST network is a membrane: both loaders hold the same one."""

from __future__ import annotations

import numpy as np
import pytest
from lava_dl_wheel import shipped

pytest.importorskip("lava.magma")
pytest.importorskip("lava.lib.dl.netx.hdf5")

from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn.lava.session import LavaSession
from lava_mlsnn.proc import Stream
from netx_export import Network, read

pytestmark = [pytest.mark.lava, pytest.mark.timeout(300)]

PERIOD = 8


@pytest.mark.parametrize("interval", [None, PERIOD])
def test_membranes_of_the_mnist_network(interval: int | None) -> None:
    """Two images in a row, stopped before the second one is through."""
    path = shipped("mnist.net")
    image = np.random.default_rng(4).integers(0, 60, (2, 784))
    data = np.repeat(image, PERIOD, axis=0).astype(np.int32)  # (time, F)
    spec = read(path)
    names = [layer.name for _, layer in spec.populations]

    net = Network(spec, reset_interval=interval)
    steps = len(data) + net.latency - 2
    source = Stream(data=data)
    source.s_out.connect(net.inp)
    with LavaSession(source, Loihi2SimCfg(select_tag="fixed_pt")) as session:
        session.run(steps, timeout=60)
        ours = [net.state(name).get() for name in names]

    has_neuron = spec.input.neuron is not None
    stock = hdf5.Network(str(path), reset_interval=interval, reset_offset=0 if has_neuron else 1)
    source = Stream(data=data)
    source.s_out.connect(stock.in_layer.neuron.a_in if has_neuron else stock.inp)
    blocks = stock.layers[1:] if has_neuron else stock.layers
    try:
        stock.run(condition=RunSteps(steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        theirs = [block.neuron.v.get() for block in blocks]
    finally:
        stock.stop()
    for name, a, b in zip(names, ours, theirs, strict=True):
        assert np.any(b), f"{name} is at rest: the comparison says nothing"
        np.testing.assert_array_equal(a, b, err_msg=name)
    assert len(np.unique(theirs[-1])) > 5
