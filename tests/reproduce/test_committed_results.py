"""What lies in results/ is what the code makes of it: claims, and accuracies of the files."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from lava_mlsnn.data import load_dataset
from lava_mlsnn.reproduce import EXPERIMENTS
from lava_mlsnn.runner import IntegerRunner, encode
from lava_mlsnn.zoo import cards, write_index
from netx_export import read

RESULTS = Path(__file__).parents[2] / "results"
NETWORKS = sorted((RESULTS / "networks").glob("*.net"))
pytestmark = pytest.mark.timeout(240)


def record_of(file):
    """The card of a network; of an experiment's also the record of seed 0 of its group."""
    card = json.loads(file.with_suffix(".json").read_text())
    for experiment in EXPERIMENTS.values():
        for group in experiment.groups:
            if file.name == f"{experiment.name}-{group.name}.net":
                content = json.loads((RESULTS / f"{experiment.name}.json").read_text())
                found = next(g for g in content["groups"] if g["name"] == group.name)
                assert card == {**card, **found["trials"][0]}
    return card


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


def test_networks_are_small_and_have_a_card():
    assert NETWORKS and all(f.stat().st_size < 5_000_000 for f in NETWORKS)
    assert [f.stem for f in NETWORKS] == list(cards())


def test_the_table_of_networks_is_that_of_their_cards(tmp_path):
    for file in NETWORKS:
        shutil.copy(file.with_suffix(".json"), tmp_path)
    table = (RESULTS / "networks" / "README.md").read_text()
    assert write_index(tmp_path).read_text() == table, "write_index of lava_mlsnn.zoo"
