"""Blocks written group by group, as SLAYER users do, are the same network."""

from __future__ import annotations

import functools
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from lava_mlsnn import IntegerRunner, ModelConfig, build_model, encode
from lava_mlsnn.errors import CalibrationError, ConfigError, FormatError, UnsupportedLayerError
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
        (torch.nn.MaxPool2d(2), "use block.MaxPool"),
        (torch.nn.Tanh(), "use the blocks of"),
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


class Twice(block.Conv):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 2


class Backwards(block.Conv):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flip(-1))


class Last(block.Conv):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[..., -1]


@pytest.mark.parametrize("kind", [block.Conv, Twice, Backwards, Last])
def test_a_block_that_computes_more_than_its_neurons_is_refused(tmp_path: Path, kind: type) -> None:
    made = kind({"levels": 4}, 2, 3, 3, padding=1, input_size=(7, 5), norm=False)
    with h5py.File(tmp_path / "a.net", "w") as file:
        group = file.create_group("layer/1")
        if kind is block.Conv:
            made.export_hdf5(group, timesteps=3)
        else:
            with pytest.raises(UnsupportedLayerError):
                made.export_hdf5(group, timesteps=3)
            assert not len(group)


@pytest.mark.parametrize("place", range(5))
def test_a_hook_that_changes_a_block_is_refused(tmp_path: Path, place: int) -> None:
    p = {"levels": 4}
    blocks = torch.nn.Sequential(
        block.Input((2, 7, 5), 15),
        block.Conv(p, 2, 3, 3, padding=1, input_size=(7, 5), norm=False),
        block.Flatten((3, 7, 5)),
        block.Dense(p, 105, 4, norm=False),
        block.Output(4, 2),
    )
    handle = blocks[place].register_forward_hook(lambda m, x, y: y * 2)
    with pytest.raises(UnsupportedLayerError):
        write_groups(blocks, tmp_path / "a.net")
    handle.remove()
    write_groups(blocks, tmp_path / "a.net")


def test_where_a_block_cannot_be_written_is_said(tmp_path: Path) -> None:
    made = block.Dense({"levels": 4}, 3, 2, norm=False)
    with h5py.File(tmp_path / "a.net", "w") as file:
        made.export_hdf5(file.create_group("layer/0"))
        for place in (file["layer/0"], file, "layer/0", None, file["layer/0/weight"]):
            with pytest.raises(ConfigError, match="empty group"):
                made.export_hdf5(place)
        file.create_group("layer/1")
    with (
        h5py.File(tmp_path / "a.net") as file,
        pytest.raises(ConfigError, match="open for writing"),
    ):
        made.export_hdf5(file["layer/1"])
