"""Files that lava-dl ships and writes give in our loader what they give in lava-dl's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lava_dl_wheel import shipped

pytest.importorskip("lava.magma")
pytest.importorskip("lava.lib.dl.netx.hdf5")

import h5py
import torch
from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn.errors import UnsupportedLayerError
from lava_mlsnn.proc import Record, Stream
from netx_export import NetworkSpec, depths, read, run_lava

pytestmark = [pytest.mark.lava, pytest.mark.timeout(240)]


def stock_trace(path: Path, spec: NetworkSpec, x: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """Messages of every layer in lava-dl's loader; x is (items, W, H, C) or (items, F)."""
    net = hdf5.Network(str(path))
    source = Stream(data=x)
    has_neuron = type(net.in_layer).__name__ == "Input"
    source.s_out.connect(net.in_layer.neuron.a_in if has_neuron else net.inp)
    blocks = net.layers[1:] if has_neuron else net.layers
    sinks = {}
    for block, (index, layer) in zip(blocks, spec.populations, strict=True):
        sink = Record(shape=block.out.shape, steps=steps, start=depths(spec)[index])
        block.out.connect(sink.a_in)
        sinks[layer.name] = sink
    try:
        net.run(
            condition=RunSteps(steps + max(depths(spec))),
            run_cfg=Loihi2SimCfg(select_tag="fixed_pt"),
        )
        return {name: np.array(sink.data) for name, sink in sinks.items()}
    finally:
        net.stop()


def assert_stock_result(path: Path, x: np.ndarray, silent: tuple[str, ...] = ()) -> None:
    """x is (C, H, W, T) or (F, T): one sample over time."""
    spec = read(path)
    steps = x.shape[-1]
    ours = run_lava(spec, x[None], probes=True, timeout=120)
    frames = np.moveaxis(x, -1, 0)
    lava_order = frames.transpose(0, *range(frames.ndim - 1, 0, -1))
    stock = stock_trace(path, spec, np.ascontiguousarray(lava_order), steps)
    assert set(stock) == set(ours.layers)
    for name, theirs in stock.items():
        axes = (*range(theirs.ndim - 1, 0, -1), 0)
        values = ours.layers[name][0]
        np.testing.assert_array_equal(values, theirs.transpose(axes), err_msg=name)
        assert name in silent or values.any(), f"{name} is silent: the comparison says nothing"


def drawn(shape: tuple[int, ...], high: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape)


@pytest.mark.parametrize(
    ("name", "high", "steps"),
    [
        ("tiny.net", 60, 8),
        ("gts/pilotnet_sdnn/square_network.net", 4096, 4),
        ("gts/pilotnet_sdnn/network.net", 4096, 4),
        ("gts/pilotnet_lif/network.net", 90, 6),
    ],
)
def test_shipped_image_networks(name: str, high: int, steps: int) -> None:
    path = shipped(name)
    shape = read(path).input.shape
    # the last layer of PilotNet LIF never spikes: its result is read from its membrane
    silent = ("dense10",) if "lif" in name else ()
    assert_stock_result(path, drawn((*shape, steps), high), silent)


def test_shipped_mnist_network() -> None:
    path = shipped("mnist.net")
    silent = (read(path).output.name,)  # an integrator whose threshold is never reached
    assert_stock_result(path, drawn((784, 12), 60), silent)


def test_a_shipped_network_with_delays_is_refused() -> None:
    with pytest.raises(UnsupportedLayerError, match=r"ntidigits\.net, layer 2 .*delay"):
        read(shipped("gts/ntidigits/ntidigits.net"))


def slayer_blocks(kind: str) -> list[Any]:
    """A small network of lava-dl's own training blocks."""
    from lava.lib.dl.slayer import block

    if kind == "cuba":
        params = {"threshold": 0.4, "current_decay": 1.0, "voltage_decay": 0.3}
        make = block.cuba
    else:
        params = {"threshold": 0.1, "tau_grad": 0.1, "scale_grad": 1.0, "activation": torch.relu}
        make = block.sigma_delta
    scale = {"weight_scale": 2}
    return [
        make.Input(params),
        make.Conv(params, 2, 4, 3, stride=2, padding=1, **scale),
        make.Conv(params, 4, 3, (2, 3), padding=(0, 1), **scale),
        make.Flatten(),
        make.Dense(params, 3 * 2 * 4, 8, **scale),
        make.Dense(params, 8, 5, **scale),
    ]


@pytest.mark.parametrize(("kind", "high"), [("cuba", 120), ("sigma_delta", 200)])
def test_slayer_files(tmp_path: Path, kind: str, high: int) -> None:
    torch.manual_seed(3)
    blocks = slayer_blocks(kind)
    x = torch.rand(1, 2, 6, 8, 5)
    for block in blocks:  # shapes are known after a first forward
        x = block(x)
    path = tmp_path / f"{kind}.net"
    with h5py.File(path, "w") as file:
        layers = file.create_group("layer")
        for index, block in enumerate(blocks):
            block.export_hdf5(layers.create_group(f"{index}"))
    assert_stock_result(path, drawn((2, 6, 8, 8), high))
