"""Networks of lava-dl's neurons give the integers of lava-dl's own loader."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

pytest.importorskip("lava.magma")
pytest.importorskip("lava.lib.dl.netx.hdf5")

from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn.errors import DataError, UnsupportedLayerError
from lava_mlsnn.lava.run import run_lava
from lava_mlsnn.proc import Record, Stream
from netx_export.spec import Conv, Dense, Flatten, Input, NetworkSpec, Population, StockNeuron

pytestmark = [pytest.mark.lava, pytest.mark.timeout(120)]

CUBA = {"iDecay": 1024, "vDecay": 128, "vThMant": 100, "refDelay": 1, "gradedSpike": False}
SDNN = {"vThMant": 6, "activation": "RELU"}


def network(kind: str, params: dict, seed: int, sigma_output: bool = False) -> NetworkSpec:
    rng = np.random.default_rng(seed)

    def even(*shape: int) -> np.ndarray:
        return 2 * rng.integers(-30, 31, shape)

    neuron = StockNeuron(kind, params)
    last = StockNeuron(kind, {**params, "sigma_output": True}) if sigma_output else neuron
    first = neuron if kind == "SDNN" else None
    conv1 = Conv(0, even(3, 2, 3, 3), stride=(2, 1), padding=(0, 1))
    conv2 = Conv(1, rng.integers(-30, 31, (4, 3, 1, 3)), dilation=(1, 2))
    return NetworkSpec(
        (
            Input((2, 7, 6), levels=1 if first is None else 127, neuron=first),
            Population("conv1", (3, 3, 6), (conv1,), neuron, rng.integers(-20, 40, 3)),
            Population("conv2", (4, 3, 2), (conv2,), neuron),
            Flatten(2, (24,)),
            Population("dense", (9,), (Dense(3, even(9, 24)),), neuron, rng.integers(-9, 20, 9)),
            Population("out", (5,), (Dense(4, rng.integers(0, 40, (5, 9))),), last),
        )
    )


def write(spec: NetworkSpec, path) -> None:
    """The file that lava-dl's blocks write for this network."""
    with h5py.File(path, "w") as file:
        for index, layer in enumerate(spec.layers):
            group = file.create_group(f"layer/{index}")
            kind = type(layer).__name__.lower()
            neuron = getattr(layer, "neuron", None)
            if isinstance(layer, Population):
                (synapse,) = layer.synapses
                kind = type(synapse).__name__.lower()
                group["weight"] = synapse.weight.astype(float)
                if layer.bias is not None:
                    group["bias"] = layer.bias
                if isinstance(synapse, Conv):
                    for key in ("stride", "padding", "dilation"):
                        group[key] = np.array(getattr(synapse, key))
                    group["groups"] = synapse.groups
            group.create_dataset("type", (1,), "S10", kind.encode("ascii"))
            group["shape"] = np.array(layer.shape)
            for key, value in {"type": neuron.type, **neuron.params}.items() if neuron else ():
                group[f"neuron/{key}"] = value


def stock_output(path, x: np.ndarray, steps: int, depth: int, reset: int | None = None):
    """Output of lava-dl's loader; x is (items, C, H, W) with time first."""
    # Without a neuron at the input, lava-dl's first layer resets as if it had depth 0.
    net = hdf5.Network(str(path), reset_interval=reset, reset_offset=1)
    source = Stream(data=x.transpose(0, 3, 2, 1))
    first = net.in_layer
    has_neuron = type(first).__name__ == "Input"
    source.s_out.connect(first.neuron.a_in if has_neuron else net.inp)
    sink = Record(shape=net.out.shape, steps=steps, start=depth)
    net.out.connect(sink.a_in)
    try:
        net.run(RunSteps(steps + depth), Loihi2SimCfg(select_tag="fixed_pt"))
    finally:
        net.stop()
    return sink.data


@pytest.mark.parametrize(
    "kind, params, sigma_output, high",
    [("CUBA", CUBA, False, 2), ("SDNN", SDNN, False, 60), ("SDNN", SDNN, True, 60)],
    ids=["CUBA", "SDNN", "SDNN with sigma output"],
)
def test_one_sample_over_time(tmp_path, kind, params, sigma_output, high):
    spec = network(kind, params, 1, sigma_output)
    write(spec, tmp_path / "stock.net")
    x = np.random.default_rng(2).integers(0, high, (1, 2, 7, 6, 12))
    ours = run_lava(spec, x, probes=True, timeout=60)
    stock = stock_output(tmp_path / "stock.net", np.moveaxis(x[0], -1, 0), 12, 4)
    np.testing.assert_array_equal(ours.output[0].T, stock)
    for name, layer in ours.layers.items():
        assert len(np.unique(layer)) > 1, f"{name} is constant: the comparison says nothing"


def test_reset_cuba_neurons_do_not_see_the_sample_before(tmp_path):
    spec = network("CUBA", CUBA, 1)
    write(spec, tmp_path / "stock.net")
    x = np.random.default_rng(4).integers(0, 2, (3, 2, 7, 6, 8))
    together = run_lava(spec, x, timeout=60, reset_interval=8)
    alone = run_lava(spec, x[2:], timeout=60, reset_interval=8)
    np.testing.assert_array_equal(together.output[2:], alone.output)
    assert len(np.unique(together.output)) == 2
    frames = np.moveaxis(x, -1, 1).reshape(24, 2, 7, 6)
    stock = stock_output(tmp_path / "stock.net", frames, 24, 4, reset=8)
    np.testing.assert_array_equal(np.moveaxis(together.output, -1, 1).reshape(24, 5), stock)


@pytest.mark.parametrize("kind, params, reset", [("SDNN", SDNN, 1), ("CUBA", CUBA, None)])
def test_neurons_with_memory_take_one_sample_at_a_time(kind, params, reset):
    with pytest.raises(DataError, match="keep their state from sample to sample"):
        run_lava(network(kind, params, 1), np.zeros((2, 2, 7, 6), int), reset_interval=reset)


def test_a_sigma_output_with_a_bias_is_refused():
    spec = network("SDNN", SDNN, 1, sigma_output=True)
    object.__setattr__(spec.output, "bias", np.ones(5, int))
    with pytest.raises(UnsupportedLayerError, match=r"layer 5 \(out\): a sigma output has no bias"):
        run_lava(spec, np.zeros((1, 2, 7, 6), int))
