"""What enters a file of lava-dl: binary unless its caller says how many bits."""

from __future__ import annotations

import numpy as np
import pytest
from dense_stock_file import stock_file
from small_models import small_model

from lava_mlsnn import IntegerRunner, encode
from lava_mlsnn.errors import ConfigError, DataError
from lava_mlsnn.parity import check_parity
from netx_export import read, run_lava, to_spec, write
from netx_export.spec.encode import check_payload


@pytest.mark.parametrize("bits", [1, 8, 16, 24])
def test_bits_of_the_input_are_its_range(tmp_path, bits):
    spec = read(stock_file(tmp_path / "a.net"), input_message_bits=bits)
    most = min(2**bits - 1, 2**23 - 1)
    assert spec.input.payload == (-most, most)
    x = np.array([[-most, most, 0, 1, -1, 2 % (most + 1)]])
    assert np.array_equal(encode(spec, x), x)
    assert np.array_equal(check_payload(spec, x)[..., 0], x)
    with pytest.raises(DataError, match="payloads of the input lie in"):
        check_payload(spec, x * 2)


def test_a_graded_input_is_not_made_binary(tmp_path):
    spec = read(stock_file(tmp_path / "a.net"))
    binary = np.array([[0, 1, 1, 0, 1, 0]])
    assert np.array_equal(encode(spec, binary), binary)
    for graded in ([[0, 1, 3, 0, 0, 0]], [[0, 0.7, 0, 0, 0, 0]], [[-1, 0, 0, 0, 0, 0]]):
        with pytest.raises(DataError, match=r"0 or 1, got .*input_message_bits to read\(\)"):
            encode(spec, np.array(graded))
    with pytest.raises(DataError, match=r"lie in 0\.\.1, got 0\.\.3; .*input_message_bits"):
        check_payload(spec, np.array([[0, 1, 3, 0, 0, 0]]))


@pytest.mark.parametrize("bits", [-1, 25, 1.5, "8", None, True])
def test_bits_that_cannot_be_are_named(tmp_path, bits):
    with pytest.raises(ConfigError, match="input_message_bits must be a whole number"):
        read(stock_file(tmp_path / "a.net"), input_message_bits=bits)


def test_a_file_that_says_what_enters_it_is_not_overruled(tmp_path):
    write(to_spec(small_model(steps=1)), tmp_path / "own.net")
    for file in (tmp_path / "own.net", stock_file(tmp_path / "neuron.net", input_neuron=True)):
        assert read(file, input_message_bits=0).input.levels > 1
        with pytest.raises(ConfigError, match=r"says itself that .* enter it, so leave it out"):
            read(file, input_message_bits=8)


@pytest.mark.parametrize("ragged", [[[1, 2], [1]], [[[1], [1, 2]]]])
def test_ragged_samples_are_named(tmp_path, ragged):
    spec = read(stock_file(tmp_path / "a.net"))
    own = to_spec(small_model(steps=1))
    runner = IntegerRunner(own)
    for take in (
        lambda x: encode(spec, x),
        lambda x: check_payload(spec, x),
        lambda x: run_lava(own, x),
        lambda x: check_parity(own, x),
        runner.run,
    ):
        with pytest.raises(DataError, match="samples must be one array of numbers"):
            take(ragged)
