"""What is allocated for Loihi 2, executed step by step, gives the integers of the fixed-point run.

In a process of its own, where a stand-in of the closed extension is found before Lava is
imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_models import images, small_model

from lava_mlsnn import IntegerRunner, encode
from netx_export import export_model, lava_available, read, write

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10"),
]
HERE = Path(__file__).parent


def with_standin(script: str, *arguments: object) -> subprocess.CompletedProcess:
    paths = [str(HERE / "standin"), str(HERE), str(HERE.parents[1])]
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        timeout=280,
    )


def assert_executed_equals_run(spec, x, folder):
    file = folder / "network.net"
    write(spec, file)
    np.savez(folder / "x.npz", x=x)
    out = folder / "out.npz"
    (folder / "programs").mkdir()
    done = with_standin("execute_network.py", file, folder / "x.npz", folder / "programs", out)
    assert done.returncode == 0, done.stderr
    found = np.load(out)
    expected = IntegerRunner(spec, kind="reference").trace(x).layers
    assert {f"layer {name}" for name in expected} == set(found.files) - {"executed"}
    compared = 0
    for name, values in expected.items():
        np.testing.assert_array_equal(found[f"layer {name}"], values, err_msg=name)
        compared += values.size
    assert compared and found["executed"] > 0


@pytest.mark.parametrize("timesteps", [1, 4])
@pytest.mark.parametrize("levels", [1, 4, 15])
def test_residual_networks(tmp_path, levels, timesteps):
    """Identity and projection shortcuts, strides, odd sizes."""
    model = small_model(levels=levels, timesteps=timesteps, input_shape=(2, 7, 5), seed=levels)
    export_model(model, tmp_path / "a.net")
    spec = read(tmp_path / "a.net")
    x = encode(spec, images(spec.input.shape, 3, seed=1))
    assert_executed_equals_run(spec, x, tmp_path)


@pytest.mark.parametrize("timesteps", [1, 4])
@pytest.mark.parametrize("levels", [1, 4, 15])
def test_vgg(tmp_path, levels, timesteps):
    pool = "avg" if levels > 1 else "stride"
    model = small_model(
        arch="vgg-11", input_shape=(1, 8, 6), pool=pool, levels=levels, timesteps=timesteps
    )
    export_model(model, tmp_path / "a.net")
    spec = read(tmp_path / "a.net")
    x = encode(spec, images(spec.input.shape, 2, seed=1))
    assert_executed_equals_run(spec, x, tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        {"barrier": "respiking", "levels": 4},
        {"barrier": "sew", "levels": 4, "timesteps": 4},
        {"barrier": "ms", "levels": 4, "v0": "round"},
        {"v0": "round", "levels": 15, "timesteps": 4},
    ],
    ids=lambda config: "-".join(str(v) for v in config.values()),
)
def test_other_architectures(tmp_path, config):
    export_model(small_model(**config), tmp_path / "a.net")
    spec = read(tmp_path / "a.net")
    x = encode(spec, images(spec.input.shape, 2, seed=2))
    assert_executed_equals_run(spec, x, tmp_path)
