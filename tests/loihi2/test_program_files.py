"""Where the programs are looked for, and what is said when they are not there."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import small_model

from lava_mlsnn.errors import ConfigError, RangeError, UnsupportedLayerError
from lava_mlsnn.loihi2 import allocations_of, multilevel_program, programs_of
from lava_mlsnn.loihi2.program.allocation import multilevel_allocation, readout_allocation
from lava_mlsnn.loihi2.program.files import UCODE, program_file
from netx_export import to_spec

PROGRAM = multilevel_program(1000, 4)


def test_the_argument_then_the_environment(tmp_path, monkeypatch):
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
        (folder / f"{PROGRAM.name}.dasm").write_text("x")
    monkeypatch.setenv(UCODE, str(other))
    assert program_file(PROGRAM) == str((other / f"{PROGRAM.name}.dasm").resolve())
    assert program_file(PROGRAM, own) == str((own / f"{PROGRAM.name}.dasm").resolve())


def test_what_is_missing_is_said_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv(UCODE, raising=False)
    with pytest.raises(ConfigError, match="name the folder that holds it with ucode="):
        program_file(PROGRAM)
    with pytest.raises(ConfigError, match="does not exist"):
        program_file(PROGRAM, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=f"one file called {PROGRAM.name}.<extension>, .* none"):
        program_file(PROGRAM, tmp_path)
    for ending in ("a", "b"):
        (tmp_path / f"{PROGRAM.name}.{ending}").write_text("x")
    with pytest.raises(ConfigError, match=f"{PROGRAM.name}.a, {PROGRAM.name}.b"):
        program_file(PROGRAM, tmp_path)


def test_a_network_lists_its_programs_and_what_neurons_hold():
    spec = to_spec(small_model(levels=4))
    found = allocations_of(spec)
    assert set(found) == {index for index, _ in spec.populations}
    names = [p.name for p in programs_of(spec)]
    assert len(names) == len(set(names)) and "relay" in names
    for index, layer in spec.populations:
        count = int(np.prod(layer.shape))
        assert all(v.shape == (count,) for v in found[index].neurons.values())
        assert found[index].num_message_bits == layer.num_message_bits
        assert "left" not in found[index].neurons, "T = 1 keeps nothing"
    stateful = allocations_of(to_spec(small_model(levels=1, timesteps=4)))
    assert all({"v", "left"} <= set(a.neurons) for i, a in stateful.items() if a.program.state)


def test_per_channel_values_stand_where_the_channel_is_last():
    """(W, H, C) flattened: channels alternate."""
    found = multilevel_allocation(
        (2, 1, 3),
        np.array([10, 20, 30]),
        np.array([1, 2, 3]),
        np.array([100, 200, 300]),
        4,
        reset_interval=1,
        depth=5,
        num_message_bits=8,
    )
    np.testing.assert_array_equal(found.neurons["vth"], [10, 20, 30] * 2)
    np.testing.assert_array_equal(found.neurons["bias"], [101, 202, 303] * 2)


CANNOT = {
    "saturation": ({"overflow": "saturate"}, UnsupportedLayerError),
    "no reset": ({"reset_interval": 0}, UnsupportedLayerError),
    "multiples beyond 24 bits": ({"vth": np.array([1 << 22, 5]), "levels": 9}, RangeError),
}


@pytest.mark.parametrize("why", CANNOT)
def test_what_no_program_computes_is_refused(why):
    change, kind = CANNOT[why]
    arguments = {"vth": np.array([5, 6]), "levels": 4, "reset_interval": 1, **change}
    with pytest.raises(kind):
        multilevel_allocation(
            (2,),
            v0=np.zeros(1, int),
            bias=np.zeros(1, int),
            depth=0,
            num_message_bits=8,
            **arguments,
        )


def test_a_readout_without_an_end_is_refused():
    with pytest.raises(UnsupportedLayerError, match="reset_interval"):
        readout_allocation(
            (2,),
            np.zeros(1, int),
            integrate=True,
            reset_interval=0,
            depth=0,
            num_message_bits=24,
        )
