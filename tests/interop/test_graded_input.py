"""Graded payloads into a file of lava-dl: the integers of its own loader."""

from __future__ import annotations

import numpy as np
import pytest
from dense_stock_file import stock_file

pytest.importorskip("lava.magma")
pytest.importorskip("lava.lib.dl.netx.hdf5")

from lava.lib.dl.netx import hdf5
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn.errors import DataError
from lava_mlsnn.proc import Record, Stream
from netx_export import Network, read, run_lava

pytestmark = [pytest.mark.lava, pytest.mark.timeout(240)]


def run(network, port, out, x):
    source, sink = Stream(data=x), Record(shape=(4,), steps=len(x), start=1)
    source.s_out.connect(port)
    out.connect(sink.a_in)
    try:
        network.run(RunSteps(len(x) + 1), Loihi2SimCfg(select_tag="fixed_pt"))
        return np.array(sink.data)
    finally:
        network.stop()


def test_graded_payloads_give_what_lava_dl_gives(tmp_path):
    path = stock_file(tmp_path / "a.net")
    x = np.random.default_rng(1).integers(-5, 6, (12, 6)).astype(np.int32)
    stock = hdf5.Network(str(path), input_message_bits=8)
    want = run(stock, stock.inp, stock.out, x)
    binary = hdf5.Network(str(path))
    assert want.any() and not np.array_equal(want, run(binary, binary.inp, binary.out, x))
    sample = x.T[None]
    for got in (
        run_lava(read(path, input_message_bits=8), sample, timeout=120),
        run_lava(read(path), sample, input_message_bits=8, timeout=120),
    ):
        assert np.array_equal(got.output[0].T, want)
    wired = Network(path, input_message_bits=8)
    assert np.array_equal(run(wired, wired.inp, wired.out, x), want)
    with pytest.raises(DataError, match="input_message_bits"):
        run_lava(read(path), sample)
