"""``Conv`` and ``Dense`` take what the stock Processes of these names take."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("lava.magma")

from lava.proc.conv.process import Conv as StockConv
from lava.proc.dense.models import PyDenseModelBitAcc
from lava.proc.dense.process import Dense as StockDense
from lava.utils.weightutils import SignMode

from lava_mlsnn.errors import ConfigError, RangeError
from lava_mlsnn.proc import Conv, Dense
from lava_mlsnn.proc.conv.models import PyConvFixed
from lava_mlsnn.proc.dense.models import PyDenseFixed, PyDenseFloat

BEHIND_KWARGS = {"weight_exp", "num_weight_bits", "sign_mode"}  # of the stock Dense
GEOMETRY = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}
KERNEL = np.arange(-36, 36).reshape(4, 3, 2, 3)


def names(process):
    found = inspect.signature(process.__init__).parameters.values()
    return {p.name for p in found if p.kind is not p.VAR_KEYWORD} - {"self"}


def test_every_argument_of_the_stock_processes_is_there():
    assert names(StockConv) <= names(Conv)
    assert names(StockDense) | BEHIND_KWARGS <= names(Dense)


def test_the_vars_of_the_stock_convolution_are_there_with_their_values(drive_synapse):
    arguments = {"weight": KERNEL, "input_shape": (7, 6, 6), "num_message_bits": 8, **GEOMETRY}
    ours, stock = Conv(**arguments), StockConv(**arguments)
    assert ours.output_shape == tuple(stock.output_shape)
    for var in stock.vars:
        mine = getattr(ours, var.name)
        if var.name == "a_buf":  # a slot for every timestep of the delay
            assert mine.shape == (1, *var.shape)
        else:
            assert mine.shape == var.shape, var.name
            np.testing.assert_array_equal(mine.init, var.init)
    _, model = drive_synapse(ours, PyConvFixed, np.ones((1, 7, 6, 6), int))
    assert model.stride.tolist() == [2, 1] and model.num_weight_bits.item() == 8


def test_the_vars_of_the_stock_dense_process_are_there():
    arguments = {"weights": KERNEL.reshape(4, -1), "num_message_bits": 8}
    ours, stock = Dense(**arguments), StockDense(**arguments)
    assert {v.name for v in stock.vars} - {v.name for v in ours.vars} == {"a_buff"}  # a_buf here
    np.testing.assert_array_equal(ours.weights.init, stock.weights.init)


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(1, 8),
    low=st.sampled_from([-128, -20, 0]),
    high=st.sampled_from([0, 19, 127]),
    step=st.sampled_from([1, 2, 4, 16, 64]),
    told=st.booleans(),
    seed=st.integers(0, 99),
)
def test_dense_with_fewer_bits_is_the_stock_one_or_refused(
    drive_synapse, bits, low, high, step, told, seed
):
    rng = np.random.default_rng(seed)
    weights = rng.integers(low, high + 1, (3, 5)) // step * step
    signs = {(False, True): SignMode.EXCITATORY, (True, False): SignMode.INHIBITORY}
    mode = signs.get((weights.min() < 0, weights.max() > 0), SignMode.MIXED)
    arguments = {"weights": weights, "num_weight_bits": bits, "num_message_bits": 8}
    if told and weights.any():
        arguments["sign_mode"] = mode
    x = rng.integers(0, 16, (3, 5))
    stock = PyDenseModelBitAcc({k: v for k, v in arguments.items() if k != "weights"})
    stock.weights = weights.copy()
    stock.num_message_bits = np.array([8])
    kept = stock_output(stock, x)
    try:
        ours, _ = drive_synapse(Dense(**arguments), PyDenseFixed, x)
    except RangeError as error:
        assert f"num_weight_bits = {bits} must be multiples of" in str(error)
        assert not np.array_equal(stock.weights, weights)  # it cut something off
        return
    if bits < 8:
        np.testing.assert_array_equal(ours[1:], kept[:-1])
    np.testing.assert_array_equal(ours[1:], (x @ weights.T)[:-1])


def stock_output(model, x):
    """Sums of the stock model, timestep by timestep, without its runtime."""
    out, arrived = [], iter(x)
    model.a_buff = np.zeros(len(model.weights), int)
    model.__dict__["a_out"] = type("Port", (), {"send": staticmethod(lambda data: None)})
    model.__dict__["s_in"] = type("Port", (), {"recv": staticmethod(lambda: next(arrived))})
    for _ in x:
        model.run_spk()
        out.append(model.a_buff)
    return np.array(out)


ONE = {"weights": [[4, -8]]}


@pytest.mark.parametrize(
    "process, arguments, error, says",
    [
        (Dense, {**ONE, "num_weight_bits": 9}, ConfigError, "num_weight_bits must be a whole"),
        (Dense, {**ONE, "num_weight_bits": 5}, RangeError, "multiples of 16, got 4"),
        (Dense, {**ONE, "sign_mode": "MIXED"}, ConfigError, "SignMode, or None"),
        (Dense, {**ONE, "sign_mode": SignMode.EXCITATORY}, RangeError, "cannot lie in -8..4"),
        (Dense, {"weights": [[4]], "sign_mode": SignMode.INHIBITORY}, RangeError, "INHIBITORY"),
        (Dense, {"weights": [[4]], "sign_mode": SignMode.NULL}, RangeError, "NULL"),
        (
            Conv,
            {"weight": KERNEL, "input_shape": (8, 8, 3), "num_weight_bits": 4},
            RangeError,
            "weight of num_weight_bits = 4 must be multiples of 32",
        ),
    ],
)
def test_what_is_not_the_weights_is_refused(process, arguments, error, says):
    with pytest.raises(error, match=says):
        process(**arguments)


def test_fractions_meet_the_bits_when_a_model_is_chosen():
    dense = Dense(weights=[[4.0, -8.0]], num_weight_bits=5)
    dense._model_class = PyDenseFloat
    with pytest.raises(RangeError, match="multiples of 16"):
        dense._model_class = PyDenseFixed
