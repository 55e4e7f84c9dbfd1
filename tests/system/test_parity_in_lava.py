"""The promise: training, file, runner and Lava hold the same integers at every layer.

The whole grid of levels, timesteps and starts, on a trained network with identity
and downsampling shortcuts, strides and asymmetric images; and every alternative.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_models import images, small_model

from lava_mlsnn import check_parity
from netx_export import export_model, lava_available, read

pytestmark = [
    pytest.mark.lava,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10"),
]
SAMPLES = 3


def assert_parity(path: Path, **config: object) -> None:
    model = small_model(**config)
    export_model(model, path)
    spec = read(path)
    x = images(spec.input.shape, SAMPLES, seed=1)
    report = check_parity(spec, x, model=model, lava_samples=SAMPLES)
    assert str(report).endswith("no difference")
    sides = ("training", "lava", "lava, one process")
    assert report.samples == dict.fromkeys(sides, SAMPLES)
    neurons = [np.prod(layer.shape) for _, layer in spec.populations]
    per_side = int(sum(neurons)) * SAMPLES * spec.timesteps
    assert report.compared >= 3 * per_side  # nothing was left out


@pytest.mark.parametrize("v0", ["floor", "round"])
@pytest.mark.parametrize("timesteps", [1, 2, 4])
@pytest.mark.parametrize("levels", [1, 2, 4, 8, 15])
def test_residual_grid(tmp_path: Path, levels: int, timesteps: int, v0: str) -> None:
    assert_parity(
        tmp_path / "grid.net",
        levels=levels,
        timesteps=timesteps,
        v0=v0,
        input_shape=(2, 7, 5),
        seed=levels,
    )


@pytest.mark.parametrize(
    "config",
    [
        {"barrier": "respiking", "barrier_threshold": 1.5, "timesteps": 2},
        {"barrier": "sew", "timesteps": 2, "v0": "round"},
        {"barrier": "ms", "timesteps": 2},
        {"barrier": "none"},
        {"shortcut_neuron": True, "train_threshold": True},
        {"weight_bits": 4, "input_signed": True},
        {"arch": "vgg-11", "input_shape": (3, 8, 6)},
        {"arch": "vgg-11", "input_shape": (1, 8, 8), "pool": "stride", "timesteps": 4, "levels": 1},
        {"width": 24, "levels": 127},
    ],
    ids=lambda config: "-".join(str(v) for v in config.values()),
)
def test_alternatives(tmp_path: Path, config: dict[str, object]) -> None:
    assert_parity(tmp_path / "alternative.net", **config)
