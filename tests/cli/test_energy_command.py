"""``mlsnn energy``: what it prints, and what it refuses."""

from __future__ import annotations

import json

import pytest


def test_energy_of_a_trained_network(mlsnn, trained, tmp_path):
    file = trained[0] / "network.net"
    found = mlsnn("energy", file, "--samples", 20, "--json").json
    assert found["samples"] == 20 and found["design"]["payload"] == "mac"
    models = found["models"]
    assert set(models) == {"snn", "ann", "zero-skip"}
    for model in models.values():
        parts = sum(model[part] for part in ("memory", "operations", "addressing"))
        assert model["nJ"] == pytest.approx(parts) and parts > 0
        assert model["nJ"] == pytest.approx(sum(layer["pJ"] for layer in model["layers"]) / 1000)
    run = mlsnn("run", file, "--samples", 20, "--json").json
    assert found["activity"]["layers"] == run["layers"]
    assert found["constants"]["mul_32"]["value"] == 3.1
    answer = mlsnn("energy", file, "--samples", 5)
    for words in ("snn, nJ per sample", "zero-skip, nJ", "of the ann", "not a measurement"):
        assert words in answer.out


def test_options_reach_the_model(mlsnn, trained, tmp_path):
    file = trained[0] / "network.net"
    call = lambda *options: mlsnn("energy", file, "--samples", 5, *options, "--json").json["models"]  # noqa: E731
    usual = call()
    dear = tmp_path / "dear.json"
    dear.write_text(json.dumps({"sram_offset": 132}))
    assert call("--constants", dear)["snn"]["nJ"] > 5 * usual["snn"]["nJ"]
    assert call("--forget")["snn"]["memory"] < usual["snn"]["memory"]
    assert call("--payload", "small")["snn"]["operations"] < usual["snn"]["operations"]
    assert call("--delay", "relay")["snn"]["nJ"] > usual["snn"]["nJ"]
    published = call("--as-published")
    assert set(published) == {"snn", "ann"} and published["ann"]["nJ"] != usual["ann"]["nJ"]


ERRORS = {
    "missing file": (("gone.net",), r"gone.net: cannot be opened"),
    "missing constants": (("FILE", "--constants", "gone.json"), "gone.json"),
    "constants that are none": (("FILE", "--constants", "FILE"), "cannot be read"),
    "unknown payload": (("FILE", "--payload", "half"), "half"),
    "unknown delay": (("FILE", "--delay", "never"), "never"),
    "wrong data": (("FILE", "--data", "no/images"), "no folder 'no/images'"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line_and_exit_code_2(mlsnn, copy, name):
    arguments, says = ERRORS[name]
    answer = mlsnn("energy", *(a.replace("FILE", "network.net") for a in arguments))
    assert says in answer.error


def test_the_command_is_in_the_help(mlsnn):
    assert "energy" in mlsnn("--help").out
    text = mlsnn("energy", "--help").out
    for option in ("--data", "--samples", "--constants", "--payload", "--forget", "--as-published"):
        assert option in text
