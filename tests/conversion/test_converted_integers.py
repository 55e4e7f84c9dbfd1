"""A converted network's integers are those of its float network, rounded; everywhere."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import torch
from drawn_modules import SHAPE, Drawn, Emulated, programs
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lava_mlsnn import check_parity, convert
from lava_mlsnn.conversion import layer_errors
from lava_mlsnn.errors import RangeError
from lava_mlsnn.export import scale_losses, to_spec
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


FEW_BITS = [("cat", (0, 0)), ("cat", (1, 0)), ("cat", (2, 0))]  # 1000 levels, over 36 pixels


@LAWS
@given(programs(), st.integers(0, 99))
@example(FEW_BITS, 0)
def test_fine_levels_give_the_float_networks_scores(program, seed):
    """Nothing is left out or added: only the weights' 8 bits and the levels are between them.

    Of as many levels as leave the weights their bits: ``convert`` says where they do not.
    """
    module, x = Drawn(program, seed), images(48, seed=seed)
    for levels in (1000, 500, 250, 125, 62, 31, 15):
        with suppress(RangeError):  # not one is left
            network = convert(module, x, levels=levels, input_levels=levels)
            if not scale_losses(network):
                break
    else:
        raise AssertionError("a loss is told of ordinary levels")
    with torch.no_grad():
        theirs, ours = module(x).double(), network(x).double()
    noise = (theirs - ours).square().mean()
    spread = (theirs - theirs.mean(0)).square().mean()
    step = theirs.square().mean() / min(254, levels) ** 2  # where all scores are alike
    assert noise <= 0.02 * spread + step + 1e-6


def test_many_levels_that_take_bits_off_the_weights_are_told(caplog):
    module, x = Drawn(FEW_BITS, 0), images(48)
    whole = layer_errors(module, convert(module, x, levels=15), x)
    assert not caplog.records and whole.bits == 8
    network = convert(module, x, levels=1000)
    (said,) = caplog.messages
    assert "layer 'fc': 5 of 5 channels" in said and "of 8 weight bits left" in said
    assert "12 inputs of up to 36000" in said and "fewer levels" in said and "\n" not in said
    (loss,) = scale_losses(network)
    weights = to_spec(network).output.synapses[0].weight
    assert abs(loss.left - (1 + np.log2(np.abs(weights).max() / 2))) < 0.5
    report = layer_errors(module, network, x)
    assert report.bits == loss.left < 4 and report.scores < whole.scores
    assert f"{loss.left:.1f} weight bits" in str(report).splitlines()[-1]
    assert {e.bits for e in report.layers} == {8.0}
    with pytest.raises(RangeError, match=r"layer 'fc': no weight bit is left, .*fewer levels"):
        convert(module, x, levels=10_000)


class Mixed(torch.nn.Module):
    """A hidden layer that reads spikes beside the sample, itself of far finer levels."""

    def __init__(self, joined):
        super().__init__()
        torch.manual_seed(0)
        self.joined = joined
        self.first = torch.nn.Conv2d(3, 3, 3, padding=1)
        self.both = torch.nn.Conv2d(6 if joined else 3, 8, 3, padding=1)
        self.skip = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.fc = torch.nn.Linear(8 * 36, 5)

    def forward(self, x):
        a = torch.relu(self.first(x))
        y = self.both(torch.cat([x, a], 1)) if self.joined else self.both(a) + self.skip(x)
        return self.fc(torch.flatten(torch.relu(y), 1))


@pytest.mark.parametrize("joined", [True, False])
def test_fine_inputs_beside_coarse_spikes_are_told(joined):
    """Weights of one population share a scale: those of the finer source have the fewer bits."""
    module, x = Mixed(joined), images(48)
    assert scale_losses(convert(module, x, levels=15)) == []
    network = convert(module, x, levels=15, input_levels=3000)
    (loss,) = scale_losses(network)
    assert loss.layer == "both" and loss.payload == 3000 and loss.left < 3
    found = {e.layer: e for e in layer_errors(module, network, x).layers}
    assert found["both"].bits == loss.left and "fewer levels" in found["both"].mend
    assert found["first"].bits == 8
