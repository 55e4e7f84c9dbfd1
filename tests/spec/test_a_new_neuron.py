"""A neuron that answers for itself runs wherever neurons are asked, and is refused elsewhere.

The neuron is a leaky multi-level one that only this file knows: what a new kind needs, and
that nobody takes it for one of the old ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from test_unknown_kinds import CONSUMERS, network

from lava_mlsnn import IntegerRunner, check_parity
from lava_mlsnn.activity import measure
from lava_mlsnn.errors import UnsupportedLayerError
from lava_mlsnn.loihi2.fit.demand import demand_of
from netx_export import (
    Conv,
    Dense,
    NetworkSpec,
    Population,
    lava_available,
    run_lava,
    stock_reasons,
    worst_case,
)
from netx_export.spec.neurons import Neuron
from netx_export.spec.neurons.base import per_channel
from netx_export.spec.widths import fit_state, shift

LEAK = 3


@dataclass(frozen=True, eq=False)
class Leaky(Neuron):
    """``H = V - floor(V / 2**LEAK) + a``, ``z = clip(floor(H / vth), 0, N)``, ``V = H - vth z``."""

    levels: int
    vth: np.ndarray

    fires: ClassVar[bool] = True
    num_message_bits: ClassVar[int] = 8
    parameters: ClassVar[int] = 2

    @property
    def payload(self):
        return 0, self.levels

    @property
    def spike_levels(self):
        return self.levels

    def start(self, axes):
        return np.zeros((1,) * axes, np.int64)

    def step(self, v, a, axes, overflow="wrap"):
        h, outside = fit_state(v - shift(v, -LEAK) + a, overflow)
        vth = per_channel(self.vth, axes)
        z = np.clip(h // vth, 0, self.levels)
        return z, h - vth * z, outside

    def bounds(self, a, timesteps):
        low, high = np.minimum(a[0], 0) * timesteps, np.maximum(a[1], 0) * timesteps
        state = int(low.min()), int(high.max())
        return state, (np.zeros_like(low), np.full_like(high, self.levels))

    def words(self, timesteps):
        return 3


NEURON = Leaky(3, np.array([3, 2]))
MIDDLE = network(Conv(1, np.array([[[[2]], [[-1]]], [[[1]], [[3]]]])), NEURON)
LAST = NetworkSpec(
    (
        *MIDDLE.layers[:-1],
        Population("out", (2,), (Dense(3, np.ones((2, 32), int)),), NEURON),
    )
)
SPEC = NetworkSpec(MIDDLE.layers, 4)
X = np.random.default_rng(0).integers(0, 4, (5, 1, 4, 4))

REFUSE = {
    "energy.structure.structure",
    "energy.twin.Twin",
    "file.writer.file_image",
    "interchange.int8.Int8",
    "interchange.nir.nir_graph",
    "interchange.onnx.onnx_model",
    "interchange.qonnx.qonnx_model",
    "lava.run.run_lava, floating",
    "lava.run.run_lava, per layer",
    "loihi2.program.programs.allocations_of",
    "loihi2.program.programs.programs_of",
}


@pytest.mark.parametrize("spec", [MIDDLE, LAST], ids=["middle", "last"])
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_whoever_needs_the_kind_says_so_and_all_others_run(consumer, spec):
    if consumer.startswith("lava.") and not lava_available():
        pytest.skip("needs Lava")
    if consumer not in REFUSE:
        CONSUMERS[consumer](spec)
        return
    with pytest.raises(UnsupportedLayerError, match="Leaky"):
        CONSUMERS[consumer](spec)


def test_it_computes_its_own_formula_at_every_timestep():
    found = IntegerRunner(SPEC).trace(X).layers
    v = np.zeros((5, 2, 4, 4), np.int64)
    weight = SPEC.layers[2].synapses[0].weight[:, :, 0, 0]
    vth = NEURON.vth.reshape(-1, 1, 1)
    for t in range(4):
        v = v - v // 8 + np.einsum("oc,nchw->nohw", weight, found["first"][..., t])
        z = np.clip(v // vth, 0, 3)
        v = v - vth * z
        np.testing.assert_array_equal(found["middle"][..., t], z)
    assert set(np.unique(found["middle"])) >= {0, 1, 2}
    activity = {a.layer: a for a in measure(SPEC, X).layers}
    assert activity["middle"].events * 5 == np.count_nonzero(found["middle"])
    assert worst_case(SPEC)[1].fits and demand_of(SPEC)[1].words == 3 + 1


def test_stock_lava_has_none():
    assert any("stock has no Leaky" in reason for reason in stock_reasons(LAST))


@pytest.mark.skipif(not lava_available(), reason="needs Lava")
def test_lava_s_leaf_model_gives_the_runner_s_integers():
    found = run_lava(SPEC, X, probes=True, timeout=60)
    for name, values in IntegerRunner(SPEC).trace(X).layers.items():
        np.testing.assert_array_equal(found.layers[name], values)
    assert check_parity(SPEC, X.astype(float), backends=["lava"]).count == 0
