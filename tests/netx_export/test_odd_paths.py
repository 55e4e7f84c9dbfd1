"""Paths that are no files: one clear error, nothing replaced, nothing waited for."""

from __future__ import annotations

import os
import stat

import numpy as np
import pytest

from lava_mlsnn.data import load_dataset
from lava_mlsnn.errors import ConfigError, DataError, FormatError
from netx_export import Dense, Input, NetworkSpec, Population, Readout, read, write
from netx_export.file.atomic import write_atomic

LONG = "a" * 300


def network() -> NetworkSpec:
    weight = np.ones((2, 3), int)
    return NetworkSpec((Input((3,)), Population("out", (2,), (Dense(0, weight),), Readout())))


@pytest.fixture
def pipe(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.timeout(20)
def test_a_pipe_is_not_replaced(pipe):
    """As root, a rename over /dev/null made it a plain file for the whole machine."""
    with pytest.raises(ConfigError, match="device, pipe or socket"):
        write(network(), pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(pipe.parent) == ["pipe"]


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(pipe):
    with pytest.raises(FormatError, match=r"pipe: cannot be opened .*device, pipe or socket"):
        read(pipe)


def test_a_link_stays_and_its_file_is_written(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "latest.net"
    link.symlink_to(tmp_path / "real" / "a.net")  # dangling at first
    for _ in range(2):
        write(network(), link)
        assert link.is_symlink() and read(link).output.name == "out"
        assert os.listdir(tmp_path / "real") == ["a.net"]
    with pytest.raises(ConfigError, match="the file exists"):
        write(network(), link, overwrite=False)


def test_a_link_to_itself_is_an_error(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match="loop: the file cannot be written"):
        write(network(), tmp_path / "loop")


@pytest.mark.parametrize("name", [LONG, "a\0b", "no/such/folder.net"])
def test_names_that_no_file_can_have(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot be written"):
        write_atomic(tmp_path / name, b"")
    with pytest.raises(FormatError):
        read(tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", [None, 3, b"a.net", [], object()])
def test_what_is_no_path(path):
    for call in (lambda: read(path), lambda: write(network(), path)):
        with pytest.raises(ConfigError, match="a path must be text or a Path, got"):
            call()


@pytest.mark.parametrize("name", [LONG, "a\0b", "~nobody-of-this-name/x"])
def test_data_folders_that_cannot_be(name):
    with pytest.raises(DataError, match="there is no folder"):
        load_dataset(name)
