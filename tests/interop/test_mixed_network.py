"""Our blocks beside lava-dl's in one file: Lava computes the integers of the trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lava.magma")
pytest.importorskip("lava.lib.dl.slayer")

import h5py
import torch
from lava.lib.dl import slayer

from lava_mlsnn.errors import DataError, UnsupportedLayerError
from lava_mlsnn.runner import IntegerRunner, encode
from lava_mlsnn.slayer import block
from netx_export import MultiLevel, StockNeuron, read, run_lava, stock_reasons

pytestmark = [pytest.mark.lava, pytest.mark.timeout(300)]

T = 3
SHAPE = (2, 6, 5)
CUBA = {"threshold": 0.3, "current_decay": 0.6, "voltage_decay": 0.2}
LAYERS = ("conv1", "dense3", "dense4")  # ours, lava-dl's, ours
KINDS = (MultiLevel, StockNeuron, MultiLevel)


def mixed() -> torch.nn.Sequential:
    return torch.nn.Sequential(
        block.Input(SHAPE, levels=15, gain=15.0),
        block.Conv({"levels": 4}, 2, 4, (3, 2), stride=(2, 1), padding=(1, 0), input_size=(6, 5)),
        block.Flatten((4, 3, 4), payload_max=4),
        slayer.block.cuba.Dense(CUBA, 48, 9, weight_scale=2, delay_shift=False),
        block.Dense({"levels": 3}, 9, 7),
        block.Output(7, 4),
    )


def video(n: int, seed: int) -> torch.Tensor:
    """(N, C, H, W, T), another frame in every timestep."""
    return torch.rand(n, *SHAPE, T, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def trained() -> torch.nn.Sequential:
    torch.manual_seed(1)
    model = mixed()
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    scores = model(video(8, 0))[..., -1]
    torch.nn.functional.cross_entropy(scores, torch.arange(8) % 4).backward()
    optimiser.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert sum(moved) >= 6  # of both kinds
    return model.eval()


@pytest.fixture(scope="module")
def path(trained: torch.nn.Sequential, tmp_path_factory: Any) -> Path:
    """As in every SLAYER script: one group a block."""
    file = tmp_path_factory.mktemp("mixed") / "mixed.net"
    with h5py.File(file, "w") as handle:
        layers = handle.create_group("layer")
        for index, part in enumerate(trained):
            part.export_hdf5(layers.create_group(f"{index}"))
    return file


def test_the_integers_of_every_layer_are_the_trained_model_s(trained, path):
    spec, x = read(path), video(3, 5)
    kinds = [type(layer.neuron) for _, layer in spec.populations]
    assert kinds[:3] == list(KINDS)
    expected, y = [], x
    with torch.no_grad():
        for part in trained:
            y = part(y)
            expected.append(y.double().numpy())
    result = run_lava(spec, encode(spec, x.numpy()), probes=LAYERS, reset_interval=T, timeout=60)
    for name, index in zip(LAYERS, (1, 3, 4), strict=True):
        found = result.layers[name]
        assert len(np.unique(found)) > 1, f"{name} is constant: the comparison says nothing"
        np.testing.assert_array_equal(found, expected[index], err_msg=name)
    scale = trained[-1].population.integers().scale[0].item()
    np.testing.assert_array_equal(result.output, np.rint(expected[-1] * scale))


def test_what_the_file_cannot_do_is_said(path):
    spec = read(path)
    x = encode(spec, video(2, 5).numpy())
    with pytest.raises(DataError, match="CUBA keep their state from sample to sample"):
        run_lava(spec, x)
    with pytest.raises(UnsupportedLayerError, match="dense3"):
        IntegerRunner(spec)
    assert any("levels is 4" in reason for reason in stock_reasons(spec))
