"""Blocks written group by group, as SLAYER users do, are the same network."""

from __future__ import annotations

import functools
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from lava_mlsnn import IntegerRunner, ModelConfig, build_model, encode
from lava_mlsnn.errors import CalibrationError, FormatError, UnsupportedLayerError
from lava_mlsnn.export import to_spec
from lava_mlsnn.slayer import block
from netx_export import read

torch.set_num_threads(1)  # the models are too small for more


@functools.cache
def calibrated(**options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    model = build_model(ModelConfig(width=4, input_shape=(2, 7, 5), **options))
    model.train()
    for _ in range(30):
        model(torch.rand(8, 2, 7, 5))
    return model.eval()


def write_groups(blocks: torch.nn.Module, path: Path) -> None:
    with h5py.File(path, "w") as file:
        layers = file.create_group("layer")
        for index, child in enumerate(blocks):
            child.export_hdf5(layers.create_group(f"{index}"))


@pytest.mark.parametrize("barrier", block.BARRIERS)
def test_groups_give_the_network_of_export_model(tmp_path: Path, barrier: str) -> None:
    model = calibrated(barrier=barrier)
    write_groups(model.blocks, tmp_path / "groups.net")
    spec, whole = read(tmp_path / "groups.net"), to_spec(model)
    x = np.random.default_rng(0).random((4, 2, 7, 5))
    ours = IntegerRunner(spec).trace(encode(spec, x))
    reference = IntegerRunner(whole).trace(encode(whole, x))
    assert len(ours.layers) == len(reference.layers)
    for a, b in zip(ours.layers.values(), reference.layers.values(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(z.any() for z in list(reference.layers.values())[:2])  # deeper ones may be silent


def test_a_block_before_its_first_batch_is_refused(tmp_path: Path) -> None:
    model = build_model(ModelConfig(width=4))
    with pytest.raises(CalibrationError, match="has seen no batch"):
        write_groups(model.blocks, tmp_path / "new.net")


def test_a_residual_block_cannot_come_first(tmp_path: Path) -> None:
    model = calibrated()
    write_groups([model.blocks.stage1_block1], tmp_path / "first.net")
    with pytest.raises(FormatError, match=r"layer 0, type: .*cannot be the first layer"):
        read(tmp_path / "first.net")


@pytest.mark.parametrize("source", [-2, 1, 2])
def test_a_residual_block_reads_only_itself_and_its_input(tmp_path: Path, source: int) -> None:
    path = tmp_path / "bad.net"
    write_groups(calibrated().blocks, path)
    with h5py.File(path, "r+") as file:
        inputs = file["layer/2/layer/1/inputs"]
        inputs[0] = source
    with pytest.raises(FormatError, match=r"layer 2.*layer/1"):
        read(path)


@pytest.mark.parametrize(
    ("module", "hint"),
    [
        (torch.nn.MaxPool2d(2), "use block.Pool or a stride"),
        (torch.nn.ReLU(), "multi-level neuron"),
        (torch.nn.Conv2d(1, 1, 1), "use block.Conv"),
        (torch.nn.GRU(1, 1), "use the blocks of"),
    ],
)
def test_an_unsupported_module_is_named_with_what_to_use(
    module: torch.nn.Module, hint: str
) -> None:
    blocks = torch.nn.Sequential(block.Input((1, 4, 4)), module)
    with pytest.raises(
        UnsupportedLayerError, match=rf"layer '1': {type(module).__name__} .*{hint}"
    ):
        to_spec(blocks)


def test_dropout_is_nothing_outside_training() -> None:
    pool = block.Pool(None, (1, 4, 4), 2, payload_max=127)
    blocks = torch.nn.Sequential(block.Input((1, 4, 4)), torch.nn.Dropout(0.5), pool)
    assert [layer.name for layer in to_spec(blocks).layers] == ["0", "2"]
