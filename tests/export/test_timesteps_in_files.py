"""T of files that blocks wrote one by one: written where it is known, else asked for."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from lava_mlsnn.errors import ConfigError, FormatError, RangeError, UnsupportedLayerError
from lava_mlsnn.export import export_model, to_spec
from lava_mlsnn.slayer import block
from netx_export import read

P = {"levels": 4}


def blocks():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        block.Input((2, 4, 4), levels=4),
        block.Residual(P, (2, 4, 4), 3, payload_max=4),
        block.Flatten((3, 4, 4)),
        block.Dense(P, 48, 5, norm=False),
        block.Output(5, 2),
    )


def written(model, path, **options):
    with h5py.File(path, "w") as file:
        for index, made in enumerate(model):
            made.export_hdf5(file.create_group(f"layer/{index}"), **options)
    return path


@pytest.fixture
def model():
    made = blocks().train()
    made(torch.randint(0, 5, (4, 2, 4, 4, 6)).float())
    return made.eval()


def test_a_model_that_says_another_t_than_it_was_trained_with_is_asked(model):
    for said, exported in ((6, 6), (np.int64(6), 6), ("5", 6), (True, 6)):
        model.timesteps = said
        assert to_spec(model).timesteps == exported
    model.timesteps = np.int64(5)
    with pytest.raises(ConfigError, match=r"says timesteps = 5.*give timesteps=T"):
        to_spec(model)
    assert to_spec(model, timesteps=5).timesteps == 5


def test_a_model_without_weights_is_refused(model):
    with pytest.raises(UnsupportedLayerError, match="meta device"):
        to_spec(model.to("meta"))


def test_a_block_writes_the_t_it_was_trained_with(model, tmp_path):
    path = written(model, tmp_path / "a.net")
    assert read(path).timesteps == 6
    with h5py.File(path) as file:
        where = [name for i in range(5) for name in _holders(file[f"layer/{i}"], f"{i}")]
    assert where == ["1/layer/0", "1/layer/1", "3", "4"]
    assert read(written(model, tmp_path / "b.net", timesteps=3)).timesteps == 3
    assert read(path, timesteps=9).timesteps == 9
    with pytest.raises(ConfigError, match="timesteps must "):
        written(model, tmp_path / "c.net", timesteps=0)


def _holders(group, name):
    inside = [f"layer/{k}" for k in group["layer"]] if "layer" in group else [""]
    return [f"{name}/{k}".rstrip("/") for k in inside if "timesteps" in (group[k] if k else group)]


def test_a_reader_asks_for_a_t_that_the_file_does_not_say(model, tmp_path):
    path = written(model, tmp_path / "a.net")
    with h5py.File(path, "r+") as file:
        for name in ("1/layer/0", "1/layer/1", "4"):
            del file[f"layer/{name}/timesteps"]
    assert read(path).timesteps == 6  # one says it
    with h5py.File(path, "r+") as file:
        del file["layer/3/timesteps"]
    with pytest.raises(FormatError, match=r"a\.net.*do not say it; give T.*timesteps=T"):
        read(path)
    assert read(path, timesteps=6).timesteps == 6
    for bad in (0, -1, 1.0, True, "6", 65_537, 10**30):
        with pytest.raises(ConfigError, match="timesteps must "):
            read(path, timesteps=bad)


def test_blocks_that_disagree_are_refused(model, tmp_path):
    path = written(model, tmp_path / "a.net")
    with h5py.File(path, "r+") as file:
        file["layer/4/timesteps"][()] = 1
    with pytest.raises(FormatError, match=r"different ones \(\[1, 6\]\)"):
        read(path)
    assert read(path, timesteps=6).timesteps == 6
    with h5py.File(path, "r+") as file:
        file["layer/4/timesteps"][()] = 0
    with pytest.raises(RangeError, match=r"layer 4, timesteps: it must lie in 1"):
        read(path)


def test_an_exported_model_says_it_once(model, tmp_path):
    path = tmp_path / "a.net"
    export_model(model, path)
    with h5py.File(path) as file:
        assert int(file.attrs["timesteps"]) == 6
        assert not any(_holders(file[f"layer/{i}"], "") for i in file["layer"])
    assert read(path).timesteps == 6 and read(path, timesteps=2).timesteps == 2


def test_where_nothing_keeps_a_state_nothing_is_asked(tmp_path):
    row = [block.Input((2, 4, 4), levels=4), block.Pool(None, (2, 4, 4), 2, payload_max=4)]
    assert read(written(row, tmp_path / "a.net")).timesteps == 1
