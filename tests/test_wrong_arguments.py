"""Wrong arguments of the public functions give the project's own errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import images, small_model

from lava_mlsnn import IntegerRunner, ModelConfig, check_parity, encode
from lava_mlsnn.errors import ConfigError, DataError
from netx_export import run_lava, to_spec, write

MODEL = small_model()
SPEC = to_spec(MODEL)
X = images(SPEC.input.shape, 2)

CALLS = {
    "runner of a path": lambda: IntegerRunner("a.net"),
    "run_lava of a path": lambda: run_lava("a.net", np.zeros((1, 1, 6, 5), int)),
    "encode for nothing": lambda: encode(None, X),
    "write nothing": lambda: write(None, "a.net"),
    "half a timestep": lambda: to_spec(MODEL, timesteps=1.5),
    "levels as text": lambda: ModelConfig(levels="4"),
    "empty image": lambda: ModelConfig(input_shape=(1, 0, 3)),
}


@pytest.mark.parametrize("name", CALLS)
def test_config_errors(name):
    with pytest.raises(ConfigError):
        CALLS[name]()


def test_ragged_samples():
    with pytest.raises(DataError, match="different lengths"):
        encode(SPEC, [[1], [1, 2]])


def test_parity_of_no_samples_is_no_parity():
    with pytest.raises(DataError, match="at least one sample"):
        check_parity(SPEC, X[:0], model=MODEL)


def test_a_model_in_data_parallel_is_the_model_inside():
    wrapped = torch.nn.DataParallel(MODEL)
    assert to_spec(wrapped).timesteps == MODEL.timesteps
    assert check_parity(to_spec(wrapped), X, model=wrapped).count == 0


def test_a_network_without_timesteps_exports_those_of_its_last_forward():
    blocks = small_model(timesteps=4).blocks  # a plain Sequential
    blocks(torch.rand(2, 1, 6, 5, 4))
    assert to_spec(blocks).timesteps == 4
    assert to_spec(blocks, timesteps=2).timesteps == 2
