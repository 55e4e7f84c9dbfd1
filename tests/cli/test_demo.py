"""``mlsnn demo``: everything it promises in one folder, and a second call goes on."""

from __future__ import annotations

import json

import pytest

FILES = {"demo.net", "model.pt", "report.html", "activity.png", "summary.json"}
KEYS = {
    "accuracy_float",
    "accuracy_integer",
    "samples_runner",
    "samples_lava",
    "differences",
    "events_per_neuron",
    "seconds",
}


@pytest.mark.timeout(240)
def test_the_demo_writes_what_it_promises_and_resumes(mlsnn, tmp_path):
    options = ("demo", "--out", "out", "--epochs", 1, "--lava-samples", 0, "--json")
    first = mlsnn(*options)
    assert first.code == 0, first.err
    assert "compare training and runner, integer by integer" in first.err
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == FILES
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary) >= KEYS and first.json.keys() == summary.keys()
    assert summary["differences"] == 0 and summary["samples_runner"] == 450
    assert summary["samples_lava"] == 0 and summary["integers_compared"] > 450 * 1000
    page = (out / "report.html").read_text()
    assert "the same integers everywhere" in page and "450 samples in training" in page
    assert (out / "activity.png").read_bytes().startswith(b"\x89PNG")

    before = (out / "model.pt").read_bytes(), (out / "demo.net").read_bytes()
    second = mlsnn(*options)
    assert second.code == 0
    assert ((out / "model.pt").read_bytes(), (out / "demo.net").read_bytes()) == before
    for key in KEYS - {"seconds"}:
        assert second.json[key] == summary[key]

    assert "--fresh" in mlsnn(*options, "--levels", 8).error  # another network
    (out / "model.pt").write_bytes(b"damaged")
    said = mlsnn(*options).error
    assert "not a checkpoint" in said and "--fresh" in said
    assert {p.name for p in tmp_path.iterdir()} == {"out"}  # nothing elsewhere
