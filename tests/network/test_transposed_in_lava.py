"""A transposed convolution in Lava: a network of it in both models, and none for the chip."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("lava.magma")

from lava.magma.core.run_configs import Loihi2SimCfg

from lava_mlsnn import check_parity
from lava_mlsnn.errors import UnsupportedLayerError
from lava_mlsnn.lava.network import Network
from lava_mlsnn.lava.run import run_lava
from lava_mlsnn.runner import IntegerRunner
from netx_export import (
    Conv,
    ConvTranspose,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)
from netx_export.spec import Dense


def decoder(timesteps, exponent=0):
    """Down, up again beside what was there before (one arm waits), and scores."""
    rng = np.random.default_rng(timesteps)
    neuron = lambda c: MultiLevel(3, rng.integers(20, 60, c), rng.integers(0, 20, c))  # noqa: E731
    down = Conv(1, rng.integers(-12, 30, (4, 2, 3, 3)), 0, (2, 2), (1, 1))
    up = ConvTranspose(
        2, rng.integers(-12, 30, (4, 1, 3, 2)), exponent, (2, 2), (1, 0), (1, 1), 2, (1, 1)
    )
    return NetworkSpec(
        (
            Input((1, 6, 5), 4),
            Population("stem", (2, 6, 5), (Conv(0, rng.integers(1, 30, (2, 1, 1, 1))),), neuron(2)),
            Population("down", (4, 3, 3), (down,), neuron(4)),
            Population("up", (2, 6, 7), (up,), neuron(2), rng.integers(-5, 5, 2)),
            Population(
                "beside",
                (2, 6, 7),
                (
                    Identity(3, rng.integers(30, 60, 2)),
                    ConvTranspose(1, rng.integers(-9, 30, (2, 2, 1, 3))),
                ),
                neuron(2),
            ),
            Flatten(4, (84,)),
            Population("out", (3,), (Dense(5, rng.integers(-9, 9, (3, 84))),), Readout()),
        ),
        timesteps,
    )


@pytest.mark.parametrize("per_layer", [False, True], ids=["leaf", "one Process each"])
@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
def test_both_models_give_the_runner_s_integers(per_layer, tag):
    spec = decoder(2, exponent=-1 if tag == "fixed_pt" else 1)
    x = np.random.default_rng(0).integers(0, 5, (3, 1, 6, 5))
    found = run_lava(spec, x, tag=tag, per_layer=per_layer, probes=True, timeout=60)
    expected = IntegerRunner(spec, kind="reference").trace(x)
    for name, values in expected.layers.items():
        np.testing.assert_array_equal(found.layers[name], values, err_msg=name)
        assert len(np.unique(values)) > 1, f"{name} is constant: the comparison says nothing"


def test_the_parity_check_runs_both():
    spec = decoder(1)
    x = np.random.default_rng(0).integers(0, 5, (2, 1, 6, 5)).astype(float)
    report = check_parity(spec, x, lava_samples=1)
    assert report.count == 0 and set(report.samples) == {"lava", "lava, one process"}


def test_a_network_for_the_chip_names_it():
    run_cfg = Loihi2SimCfg(select_tag="fixed_pt", select_sub_proc_model=True)
    with pytest.raises(
        UnsupportedLayerError,
        match=r"layer 3 \(up\).*Loihi 2 has no ConvT.*; run the network on the CPU",
    ):
        Network(decoder(1), target="loihi2").compile(run_cfg)
