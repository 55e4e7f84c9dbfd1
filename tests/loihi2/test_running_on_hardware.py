"""The way to the chip and back: host, adapters, sign, late results. On stand-ins only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_allocation_executed import with_standin
from test_stock_simulator import even_network

from lava_mlsnn.errors import ConfigError, MLSNNError, RunError
from lava_mlsnn.lava.chip import aligned, choose_host, run_loihi2, sign_extended
from lava_mlsnn.runner import IntegerRunner
from netx_export import lava_available, write

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10"),
]


@given(st.sampled_from([8, 16, 24]), st.data())
def test_signs_survive_the_way_through_an_unsigned_message(bits, data):
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    values = np.array(data.draw(st.lists(st.integers(low, high), min_size=1)))
    np.testing.assert_array_equal(sign_extended(values & ((1 << bits) - 1), bits), values)
    np.testing.assert_array_equal(sign_extended(values, bits), values)


@given(st.integers(0, 5), st.integers(1, 6), st.integers(0, 5), st.integers(0, 1000))
def test_late_results_are_found(delay, steps, after, seed):
    rng = np.random.default_rng(seed)
    expected = rng.integers(-1000, 1000, (steps, 4))
    noise = rng.integers(2000, 3000, (delay + steps + after, 4))
    noise[delay : delay + steps] = expected
    assert aligned(noise, expected) == (delay, 0)
    noise[delay, 0] += 1
    assert aligned(noise, expected) == (delay, 1)


def test_too_few_timesteps_are_refused():
    with pytest.raises(ConfigError, match="1 timesteps cannot hold the 2"):
        aligned(np.zeros((1, 2)), np.zeros((2, 2)))


@pytest.mark.lava
def test_without_the_extension_it_says_what_is_missing():
    spec = even_network(1, 4)
    with pytest.raises(MLSNNError, match=r"closed extension .lava-loihi.*INRC.*--target loihi2"):
        run_loihi2(spec, np.zeros((1, *spec.input.shape), int))


@pytest.fixture
def installed(monkeypatch):
    from lava.utils import loihi

    calls = []
    monkeypatch.setattr(loihi, "is_installed", lambda: True)
    monkeypatch.setattr(loihi, "use_slurm_host", lambda **k: calls.append(("slurm", k)))
    monkeypatch.setattr(loihi, "use_ethernet_host", lambda *a, **k: calls.append(("host", a, k)))
    return calls


@pytest.mark.lava
def test_the_host_is_chosen_as_asked(installed):
    choose_host()
    assert installed == []
    choose_host(partition="oheogulch_20m")
    choose_host(board="ncl-ext-og-01", generation="N3C1")
    choose_host(host="10.0.0.1")
    assert [c[0] for c in installed] == ["slurm", "slurm", "host"]
    assert installed[0][1]["partition"] == "oheogulch_20m" and installed[0][1]["board"] is None
    assert installed[1][1]["loihi_gen"].value == "N3C1"
    assert installed[2][1] == ("10.0.0.1",)


@pytest.mark.lava
def test_wrong_places_are_one_sentence(installed, monkeypatch):
    from lava.utils import loihi

    with pytest.raises(ConfigError, match="either a host, or a partition or board"):
        choose_host(board="b", host="h")
    with pytest.raises(ConfigError, match="generation must be one of N2A2"):
        choose_host(generation="N9")

    def absent(**_):
        raise ValueError("SLURM controller\n is not available.")

    monkeypatch.setattr(loihi, "use_slurm_host", absent)
    with pytest.raises(RunError, match=r"host cannot be used: SLURM controller is not available\."):
        choose_host(partition="p")
    spec = even_network(1, 4)
    with pytest.raises(RunError, match="extension lacks an adapter"):
        run_loihi2(spec, np.zeros((1, *spec.input.shape), int))


@pytest.mark.lava
@pytest.mark.parametrize("timesteps, levels", [(1, 4), (3, 2)])
def test_the_whole_way_on_the_stand_in(tmp_path, timesteps, levels):
    """Negative scores come back, a result that is a timestep late is found."""
    spec = even_network(timesteps, levels)
    file = tmp_path / "a.net"
    write(spec, file)
    x = np.random.default_rng(0).integers(0, levels + 1, (3, *spec.input.shape))
    np.savez(tmp_path / "x.npz", x=x)
    done = with_standin("run_on_standin.py", file, tmp_path / "x.npz", tmp_path / "out.npz")
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "out.npz")
    expected = IntegerRunner(spec).run(x).output
    assert (expected < 0).any()
    np.testing.assert_array_equal(found["output"], expected)
    assert found["delay"] == 1 and found["different"] == 0
