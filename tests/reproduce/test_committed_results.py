"""What lies in results/ is what the code makes of it: claims, and accuracies of the files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lava_mlsnn.data import load_dataset
from lava_mlsnn.reproduce import EXPERIMENTS
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export import read

RESULTS = Path(__file__).parents[2] / "results"
NETWORKS = sorted((RESULTS / "networks").glob("*.net"))
pytestmark = pytest.mark.timeout(240)


def record_of(file):
    """The record of a kept network: seed 0 of its group."""
    for experiment in EXPERIMENTS.values():
        for group in experiment.groups:
            if file.name == f"{experiment.name}-{group.name}.net":
                content = json.loads((RESULTS / f"{experiment.name}.json").read_text())
                found = next(g for g in content["groups"] if g["name"] == group.name)
                return found["trials"][0]
    raise AssertionError(f"{file.name} belongs to no experiment")


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_claims_follow_from_the_records(name):
    experiment = EXPERIMENTS[name]
    content = json.loads((RESULTS / f"{name}.json").read_text())
    assert content["complete"]
    results = {g["name"]: g["trials"] for g in content["groups"]}
    for group in experiment.groups:  # today's experiments are those that were run
        assert [r["key"] for r in results[group.name]] == [t.key for t in group.trials()]
    again = [
        {"claim": c.text, "measured": c.measured, "met": c.met} for c in experiment.judge(results)
    ]
    assert again == content["claims"]


@pytest.mark.parametrize("file", NETWORKS, ids=lambda f: f.stem)
def test_kept_networks_have_the_reported_accuracy(file):
    record = record_of(file)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == record["network"]["sha256"]
    if record["data"] == "cifar10":
        return  # its images are not at hand
    spec = read(file)
    data = load_dataset(record["data"], timesteps=spec.timesteps)
    trace = IntegerRunner(spec, threads=1).run(encode(spec, data.x_test))
    found = (trace.classes == data.y_test).mean()
    # the simulated camera takes logarithms: another CPU may move an event
    allowed = 0.01 if record["data"].endswith("-events") else 0
    assert abs(found - record["accuracy"]["integer"]) <= allowed


def test_networks_are_small_and_on_their_card():
    card = (RESULTS / "networks" / "README.md").read_text()
    assert NETWORKS and all(f.name in card and f.stat().st_size < 5_000_000 for f in NETWORKS)
