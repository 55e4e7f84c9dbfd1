"""A trained network scaled for stock Lava loads there, with the same integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_models import images, small_model

pytest.importorskip("lava.magma")
pytest.importorskip("lava.lib.dl.netx.hdf5")

from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn import IntegerRunner, ModelConfig, encode
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.proc import Record, Stream
from netx_export import depths, export_model, latency, read, stock_reasons

pytestmark = [pytest.mark.lava, pytest.mark.timeout(180)]

STOCK = {"arch": "vgg-11", "pool": "stride", "levels": 1, "timesteps": 1, "stock": True}


@pytest.mark.parametrize("v0", ["floor", "round"])
def test_trained_vgg_runs_in_stock_lava(tmp_path: Path, v0: str) -> None:
    path = tmp_path / "vgg.net"
    model = small_model(**STOCK, v0=v0, width=4, input_shape=(2, 9, 6), input_levels=31, steps=8)
    export_model(model, path)
    spec = read(path)
    assert stock_reasons(spec) == []
    x = encode(spec, images((2, 9, 6), 12, seed=5))
    expected = IntegerRunner(spec).trace(x)

    net = hdf5.Network(str(path), input_message_bits=16)
    source = Stream(data=np.ascontiguousarray(x.transpose(0, 3, 2, 1)))
    source.s_out.connect(net.inp)
    sinks = {}
    for block, (index, layer) in zip(net.layers, spec.populations, strict=True):
        if index == len(spec.layers) - 1:
            break
        sink = Record(shape=block.out.shape, steps=len(x), start=depths(spec)[index])
        block.out.connect(sink.a_in)
        sinks[layer.name] = sink
    try:
        # to the timestep in which the last sample is in the output's membrane
        net.run(
            condition=RunSteps(len(x) + latency(spec)),
            run_cfg=Loihi2SimCfg(select_tag="fixed_pt"),
        )
        spikes = {name: np.array(sink.data) for name, sink in sinks.items()}
        scores = net.layers[-1].neuron.v.get().astype(int) >> 6
    finally:
        net.stop()
    for name, theirs in spikes.items():
        ours = expected.layers[name][..., 0]
        turned = theirs.transpose(0, *range(theirs.ndim - 1, 0, -1))
        np.testing.assert_array_equal(ours, turned, err_msg=name)
    assert spikes["conv1"].any()
    np.testing.assert_array_equal(scores, expected.output[-1, :, 0])


@pytest.mark.parametrize(
    "change", [{"levels": 2}, {"timesteps": 2}, {"pool": "avg"}, {"arch": "sparse-resnet-8"}]
)
def test_what_stock_lava_cannot_run_is_refused_before_training(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="stock lava-dl runs VGG"):
        ModelConfig(**{**STOCK, **change})
