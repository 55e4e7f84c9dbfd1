"""Our blocks and lava-dl's CUBA blocks in one torch network, one file, one Lava run."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

pytest.importorskip("lava.magma")
pytest.importorskip("lava.lib.dl.slayer")

from lava.lib.dl.slayer import block as slayer

from lava_mlsnn.runner import encode
from lava_mlsnn.slayer import block
from netx_export import MultiLevel, StockNeuron, read, run_lava

pytestmark = [pytest.mark.lava, pytest.mark.timeout(120)]

T = 6
SHAPE = (2, 7, 5)
OURS = {"levels": 3, "threshold": 0.5}
CUBA = {"threshold": 0.4, "current_decay": 0.5, "voltage_decay": 0.2}


def mixed_blocks() -> torch.nn.ModuleList:
    """Ours, then CUBA on graded input, then ours on CUBA spikes."""
    aligned = {"weight_scale": 2, "delay_shift": False}  # our blocks do not shift time
    return torch.nn.ModuleList(
        [
            block.Input(SHAPE, levels=7, gain=7.0),
            block.Conv(OURS, 2, 3, 3, stride=(2, 1), padding=1, input_size=SHAPE[1:]),
            slayer.cuba.Conv(CUBA, 3, 4, (3, 2), padding=(1, 0), **aligned),
            block.Flatten((4, 4, 4), payload_max=1),
            block.Dense(OURS, 64, 9),
            slayer.cuba.Dense(CUBA, 9, 6, **aligned),
            block.Output(6, 3),
        ]
    )


def trace(blocks: torch.nn.ModuleList, x: torch.Tensor) -> list[torch.Tensor]:
    out = []
    for layer in blocks:
        x = layer(x)
        out.append(x)
    return out


def test_one_file_of_both_kinds_gives_the_integers_of_training(tmp_path: Path) -> None:
    torch.manual_seed(1)
    blocks = mixed_blocks()
    x = torch.rand(8, *SHAPE, 1).expand(8, *SHAPE, T)
    trace(blocks, x)  # lava-dl makes the parameters of its neurons in a first forward
    before = [p.detach().clone() for p in blocks.parameters()]
    optimiser = torch.optim.SGD(blocks.parameters(), 0.05)
    for _ in range(3):
        scores = trace(blocks.train(), x)[-1][..., -1]
        loss = torch.nn.functional.cross_entropy(scores, torch.arange(8) % 3)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    first, last = blocks[1].population.synapses[0].weight, blocks[6].population.synapses[0].weight
    after = list(blocks.parameters())
    for weight in (first, last):  # the gradient passed through both kinds
        index = next(i for i, p in enumerate(after) if p is weight)
        assert not torch.equal(weight, before[index])

    path = tmp_path / "mixed.net"
    with h5py.File(path, "w") as file:
        layers = file.create_group("layer")
        for index, layer in enumerate(blocks.eval()):
            layer.export_hdf5(layers.create_group(f"{index}"))
    spec = read(path)
    kinds = [type(layer.neuron) for _, layer in spec.populations]
    assert kinds[:4] == [MultiLevel, StockNeuron, MultiLevel, StockNeuron]

    with torch.no_grad():
        trained = trace(blocks, x[:3])
    payload = np.repeat(encode(spec, x[:3, ..., 0].numpy())[..., None], T, axis=-1)
    result = run_lava(spec, payload, probes=True, reset_interval=T, timeout=60)
    for index, layer in spec.populations:
        values = trained[index].double()
        if index == 6:
            values = values * blocks[6].population.integers().scale[0]
        expected = torch.round(values).numpy().astype(np.int64)
        assert expected.any(), layer.name
        np.testing.assert_array_equal(result.layers[layer.name], expected, err_msg=layer.name)
