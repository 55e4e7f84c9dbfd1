"""A converted network's integers are those of its float network, rounded; everywhere."""

from __future__ import annotations

import numpy as np
import torch
from drawn_modules import SHAPE, Drawn, Emulated, programs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lava_mlsnn import check_parity, convert
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export import export_model, read

torch.set_num_threads(1)
LAWS = settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))


INPUT = "input"


def images(n=12, low=-1.0, seed=0):
    x = np.random.default_rng(seed).uniform(low, 1, (n, *SHAPE))
    return torch.from_numpy(x.astype(np.float32))


@LAWS
@given(
    programs(), st.sampled_from([1, 4, 15, 60]), st.integers(0, 99), st.sampled_from([0.0, -1.0])
)
def test_integers_are_those_of_a_float64_emulation(tmp_path_factory, program, levels, seed, low):
    module, x = Drawn(program, seed), images(low=low, seed=seed)
    network = convert(module, x, levels=levels)
    path = tmp_path_factory.mktemp("drawn") / "a.net"
    spec = export_model(network, path)
    z = encode(spec, x.numpy())
    ours = IntegerRunner(read(path)).trace(z).layers
    emulated = Emulated(module, network, spec, torch.from_numpy(z)).found
    pools = ("avg_pool2d", "adaptive", "max_pool2d")
    own = {name for name in ours if not name.startswith(pools)} - {INPUT}
    assert set(emulated) <= own
    for name in own - set(emulated):  # a value that two operations clip alike
        assert any(np.array_equal(ours[name], ours[other]) for other in emulated)
    for name, integers in emulated.items():
        assert np.array_equal(integers.numpy(), ours[name][..., 0]), name
    assert check_parity(spec, x.numpy(), model=network).count == 0


@LAWS
@given(programs(), st.integers(0, 99))
def test_fine_levels_give_the_float_networks_scores(program, seed):
    """Nothing is left out or added: only 8-bit weights and 1000 levels are between them."""
    module, x = Drawn(program, seed), images(48, seed=seed)
    network = convert(module, x, levels=1000, input_levels=1000)
    with torch.no_grad():
        theirs, ours = module(x).double(), network(x).double()
    noise = (theirs - ours).square().mean()
    spread = (theirs - theirs.mean(0)).square().mean()
    step = theirs.square().mean() / 254**2  # of 8-bit weights, where all scores are alike
    assert noise <= 0.02 * spread + step + 1e-6
