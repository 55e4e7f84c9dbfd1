"""Files of every format version mean for ever what they meant when they were written.

The files beside this one were written by version 0.1.0 (``row``, ``residual``, ``stock``,
``packed``, and ``transposed`` of format version 2), block by block by ``export_hdf5``
(``blocks``), and as lava-dl 0.6.0 writes them (``cuba``, ``sdnn``). Each ``.npz`` holds
data, the payloads that enter and the payloads of
every layer, on which the runner, loops over Python's integers and, for lava-dl's neurons,
its own loader agreed. Add files; never write one again.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from strategies import assert_same

from lava_mlsnn.errors import FormatError
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export import read, run_lava, stock_reasons, write

HERE = Path(__file__).parent
OURS = ("packed", "residual", "row", "stock", "transposed")
LAVA_DL = ("cuba", "sdnn")


def kept(name):
    """Data, payloads that enter, and payloads of every layer by its index."""
    with np.load(HERE / f"{name}.npz") as arrays:
        layers = {int(k.removeprefix("layer_")): v for k, v in arrays.items() if "layer_" in k}
        return arrays["data"], arrays["input"], layers


def assert_integers(found, spec, wanted):
    assert len(wanted) == len(spec.populations)
    for index, layer in spec.populations:
        np.testing.assert_array_equal(found[layer.name], wanted[index], layer.name)
        assert np.any(wanted[index])


def test_every_file_is_tested():
    assert {p.stem for p in HERE.glob("*.net")} == {*OURS, *LAVA_DL, "blocks"}


def opened(name):
    """The network of a file; blocks that were written before they said T are told it."""
    return read(HERE / f"{name}.net", timesteps=1 if name == "blocks" else None)


def test_a_file_that_does_not_say_t_asks_for_it():
    with pytest.raises(FormatError, match=r"timesteps: .* give T"):
        read(HERE / "blocks.net")


@pytest.mark.parametrize("kind", ["auto", "reference"])
@pytest.mark.parametrize("name", [*OURS, "blocks"])
def test_the_integers_are_those_of_its_day(name, kind):
    spec = opened(name)
    data, payloads, wanted = kept(name)
    np.testing.assert_array_equal(encode(spec, data), payloads)
    assert_integers(IntegerRunner(spec, kind=kind).trace(payloads).layers, spec, wanted)


@pytest.mark.lava
@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="needs Lava")
@pytest.mark.parametrize("name", [*LAVA_DL, "row", "transposed"])
def test_the_integers_in_lava_are_those_of_its_day(name):
    spec = opened(name)
    _, payloads, wanted = kept(name)
    assert_integers(run_lava(spec, payloads, probes=True, timeout=60).layers, spec, wanted)


@pytest.mark.parametrize("name", OURS)
def test_read_and_written_again_a_file_has_the_same_bytes(name, tmp_path):
    path = HERE / f"{name}.net"
    assert write(read(path), tmp_path / "again.net").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", [*LAVA_DL, "blocks"])
def test_a_file_of_lava_dl_becomes_one_of_ours_with_the_same_network(name, tmp_path):
    spec = opened(name)
    assert_same(read(write(spec, tmp_path / "ours.net")), spec)


def test_the_file_for_stock_lava_is_still_one():
    assert stock_reasons(read(HERE / "stock.net")) == []
