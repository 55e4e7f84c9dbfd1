"""``mlsnn check FILE --target loihi2``: report, mapping, exit codes, bad options."""

from __future__ import annotations

import json

import pytest


def test_the_trained_network_fits_and_is_mapped(mlsnn, trained, tmp_path):
    file = trained[0] / "network.net"
    answer = mlsnn(
        *("check", file, "--target", "loihi2", "--samples", 16, "--mapping", "m.json", "--json")
    )
    assert answer.code == 0, answer.err
    found = answer.json
    assert found["fits"] and found["findings"] == [] and found["activity_samples"] == 16
    assert found["core_bound"] <= found["mappings"]["balanced"]["cores"]
    assert json.loads((tmp_path / "m.json").read_text())["format"] == "lava-mlsnn mapping"
    for layer in found["layers"]:
        assert layer["observed_bits"] is None or layer["observed_bits"] <= layer["worst_bits"]
    text = mlsnn("check", file, "--target", "loihi2", "--system", "loihi2")
    assert text.code == 0 and "none of them measured on silicon" in text.out
    assert "activity: 64 samples" in text.out


def test_what_does_not_fit_ends_with_1_and_says_why(mlsnn, trained):
    file = trained[0] / "network.net"
    answer = mlsnn(
        *("check", file, "--target", "loihi2", "--limit", "weight_bits=4", "--limit", "chips=1")
    )
    assert answer.code == 1 and "the limit is 4 (given); train with weight_bits=4" in answer.out


def test_without_fitting_samples_activity_is_assumed(mlsnn, tmp_path):
    import numpy as np

    from netx_export import Conv, Input, MultiLevel, NetworkSpec, Population, write

    layer = Population(
        "a", (2, 5, 5), (Conv(0, np.ones((2, 1, 2, 2), int)),), MultiLevel(1, [1], [0])
    )
    write(NetworkSpec((Input((1, 6, 6), 1), layer)), "other.net")
    answer = mlsnn("check", "other.net", "--target", "loihi2")
    assert answer.code == 0 and "activity: assumed" in answer.out
    named = mlsnn("check", "other.net", "--target", "loihi2", "--data", "digits")
    assert "the network takes images of shape" in named.error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--target", "loihi3"], "target must be loihi2"),
        (["--limit", "chips=3"], "--limit goes with --target loihi2"),
        (["--mapping", "m.json", "--cores", 3], "--cores, --mapping goes with"),
        (["--target", "loihi2", "--model", "model.pt"], "--model is for the parity check"),
        (["--target", "loihi2", "--system", "tpu"], "system must be one of"),
        (["--target", "loihi2", "--limit", "cores"], "a limit is name=value"),
        (["--target", "loihi2", "--mapping", "none/m.json"], "none"),
        (["--target", "loihi2", "--mapping", "m", "--limit", "axons_in_per_core=1"], "no mapping"),
    ],
)
def test_wrong_options_give_one_line(mlsnn, trained, options, words):
    assert words in mlsnn("check", trained[0] / "network.net", *options).error


def test_a_file_that_is_missing(mlsnn):
    assert "nothing.net" in mlsnn("check", "nothing.net", "--target", "loihi2").error
