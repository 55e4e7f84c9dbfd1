"""Arguments that cannot work give one clear error, before anything starts."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("lava.magma")

from lava_mlsnn.errors import ConfigError, RangeError
from lava_mlsnn.proc import Conv, Dense, Identity, MultiLevelIF, Readout, Record, Stream
from lava_mlsnn.proc.dense.models import PyDenseFixed, PyDenseFloat
from lava_mlsnn.proc.mlif.models import PyMultiLevelIFFixed, PyMultiLevelIFFloat

KERNEL = np.ones((4, 3, 3, 2), int)

CASES = {
    "threshold zero": (RangeError, "vth must be above 0", lambda: MultiLevelIF((2,), 0, 4)),
    "threshold NaN": (RangeError, "finite", lambda: MultiLevelIF((2,), np.nan, 4)),
    "threshold of wrong shape": (
        ConfigError,
        "one per channel",
        lambda: MultiLevelIF((5, 2), [1, 2, 3], 4),
    ),
    "threshold as text": (ConfigError, "numbers", lambda: MultiLevelIF((2,), "high", 4)),
    "no levels": (ConfigError, "levels", lambda: MultiLevelIF((2,), 1, 0)),
    "half a level": (ConfigError, "levels", lambda: MultiLevelIF((2,), 1, 1.5)),
    "message too narrow": (
        ConfigError,
        "at least 16",
        lambda: MultiLevelIF((2,), 1, 200, num_message_bits=8),
    ),
    "unknown overflow": (ConfigError, "overflow", lambda: MultiLevelIF((2,), 1, 4, overflow="x")),
    "empty shape": (ConfigError, "shape", lambda: MultiLevelIF((), 1, 4)),
    "zero in shape": (ConfigError, "positive", lambda: Readout((0, 3))),
    "reset interval zero": (ConfigError, "None for never", lambda: Readout((2,), reset_interval=0)),
    "negative offset": (ConfigError, "reset_offset", lambda: Readout((2,), reset_offset=-1)),
    "message bits": (ConfigError, "8, 16 or 24", lambda: Readout((2,), num_message_bits=7)),
    "weight too large": (RangeError, "-256..254", lambda: Dense(weights=[[-1, 255]])),
    "odd large weight": (RangeError, "even", lambda: Dense(weights=[[-1, 201]])),
    "weights of one axis": (ConfigError, "2 axes", lambda: Dense(weights=[1, 2])),
    "weights infinite": (RangeError, "finite", lambda: Dense(weights=[[np.inf]])),
    "delay too long": (ConfigError, "0..62", lambda: Dense(weights=[[1]], delay=63)),
    "channels differ": (
        ConfigError,
        "2 input channels",
        lambda: Conv(weight=KERNEL, input_shape=(8, 8, 3)),
    ),
    "kernel too large": (
        ConfigError,
        "does not fit",
        lambda: Conv(weight=KERNEL, input_shape=(2, 8, 2)),
    ),
    "groups": (
        ConfigError,
        "groups must divide",
        lambda: Conv(weight=KERNEL, input_shape=(8, 8, 6), groups=3),
    ),
    "stride zero": (
        ConfigError,
        "stride",
        lambda: Conv(weight=KERNEL, input_shape=(8, 8, 2), stride=(1, 0)),
    ),
    "ragged weights": (ConfigError, "weights must be", lambda: Dense(weights=[[1], [1, 2]])),
    "ragged thresholds": (ConfigError, "vth must be", lambda: MultiLevelIF((2,), [[1], 2], 1)),
    "half a neuron": (ConfigError, "shape", lambda: MultiLevelIF((2.5,), 1, 1)),
    "levels that are True": (ConfigError, "levels", lambda: MultiLevelIF((2,), 1, True)),
    "an exponent of text": (ConfigError, "bias_exp", lambda: Readout((2,), bias_exp="a")),
    "an endless exponent": (ConfigError, "bias_exp", lambda: Readout((2,), bias_exp=10**9)),
    "an interval that is True": (ConfigError, "never", lambda: Readout((2,), reset_interval=True)),
    "half an offset": (ConfigError, "reset_offset", lambda: Readout((2,), reset_offset=1.5)),
    "integrate as numbers": (ConfigError, "True or", lambda: Readout((2,), integrate=np.ones(2))),
    "a stride of text": (
        ConfigError,
        "stride",
        lambda: Conv(weight=KERNEL, input_shape=(8, 8, 2), stride="a"),
    ),
    "a stream of nothing": (ConfigError, "data must be", lambda: Stream(data=None)),
    "a ragged stream": (ConfigError, "data must be", lambda: Stream(data=[[1], [1, 2]])),
    "half a repetition": (ConfigError, "repeat", lambda: Stream(data=np.ones((2, 2)), repeat=1.5)),
    "steps of text": (ConfigError, "steps", lambda: Record(shape=(2,), steps="a")),
    "more steps than memory": (
        ConfigError,
        "more than there is",
        lambda: Record(shape=(1 << 20,), steps=1 << 36),
    ),
    "an image without channels": (
        ConfigError,
        "input_shape must be (W, H, C)",
        lambda: Conv(weight=KERNEL, input_shape=(8, 8)),
    ),
    "a stream of numbers": (ConfigError, "(items, ...)", lambda: Stream(data=np.ones(2))),
    "message bits of 12": (
        ConfigError,
        "num_message_bits must be 0 (binary), 8, 16, 24 or 32, got 12",
        lambda: Dense(weights=[[1]], num_message_bits=12),
    ),
    "a weight exponent of 24": (
        ConfigError,
        "weight_exp must be a whole number in -23..23, got 24",
        lambda: Dense(weights=[[1]], weight_exp=24),
    ),
    "gains differ": (
        ConfigError,
        "one gain per channel (3)",
        lambda: Identity(shape=(2, 2, 3), weight=[1, 2]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case, capsys):
    kind, text, make = CASES[case]
    with pytest.raises(kind, match=re.escape(text)):
        make()
    assert capsys.readouterr().err == ""  # no second traceback from a destructor


@pytest.mark.parametrize(
    "process, fixed, floating",
    [
        (lambda: MultiLevelIF((2,), 1.5, 4), PyMultiLevelIFFixed, PyMultiLevelIFFloat),
        (lambda: Dense(weights=[[0.5]]), PyDenseFixed, PyDenseFloat),
    ],
    ids=["threshold", "weight"],
)
def test_fractions_are_refused_by_fixed_point_only(process, fixed, floating):
    process()._model_class = floating
    with pytest.raises(RangeError, match="whole numbers"):
        process()._model_class = fixed


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"vth": 1 << 23}, "vth must lie in 1..8388607"),
        ({"vth": 1, "v0": -(1 << 23) - 1}, "v0 must lie"),
        ({"vth": 1, "bias_mant": 1 << 20, "bias_exp": 4}, "bias_mant"),
    ],
)
def test_fixed_point_refuses_what_leaves_24_bits(arguments, text):
    with pytest.raises(RangeError, match=text):
        MultiLevelIF((2,), levels=4, **arguments)._model_class = PyMultiLevelIFFixed
