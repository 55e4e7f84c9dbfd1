"""Training up to an accuracy: the same layers on every side, and rows that say what was reached."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.bench import Bench
from benchmarks.cases import accuracy
from benchmarks.errors import SideError
from benchmarks.measure import Result, Side
from benchmarks.sides import race
from benchmarks.sides.fast_network import FastNetwork
from lava_mlsnn import ModelConfig, build_model


def kernels(model):
    return sorted(tuple(p.shape) for p in model.parameters() if p.dim() == 4)


def test_the_network_of_the_others_has_our_layers():
    ours = build_model(ModelConfig(arch="sparse-resnet-fast", input_shape=(3, 32, 32)))
    theirs = FastNetwork(torch.nn.ReLU)
    assert kernels(ours) == kernels(theirs)
    x = torch.rand(2, 3, 32, 32)
    assert theirs(x).shape == ours(x).shape == (2, 10)


@pytest.mark.parametrize("kind", ["ours", "relu"])
def test_a_side_trains_and_says_when_it_was_how_good(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(race, "HELD", 4)
    monkeypatch.setattr(race, "BATCH", 4)
    monkeypatch.setattr(race, "_in_floats", lambda net, x, y: 0.5)  # splits 5,000 images
    rng, path = np.random.default_rng(0), tmp_path / "images.npz"
    np.savez(path, x=rng.random((12, 3, 32, 32), np.float32), y=rng.integers(0, 10, 12))
    found = race.run(1, kind, str(path), 2, 0, amp=False)["reached"]
    assert len(found) == 2 and 0 < found[0]["seconds"] < found[1]["seconds"]
    assert all(0 <= step["accuracy"] <= 1 for step in found)


def result(name, *steps):
    reached = [{"seconds": s, "accuracy": a} for s, a in steps]
    return Result(Side(name, "m:f"), [{"seconds": [1.0], "reached": reached}])


def test_a_row_is_the_time_at_which_both_were_there():
    ours, theirs = result("ours", (10, 0.7), (20, 0.8)), result("relu", (5, 0.6), (60, 0.81))
    row = accuracy._row(80, "relu", ours, theirs, 2)
    assert (row.ours_s, row.theirs_s, row.ratio) == (20, 60, 3.0)
    row = accuracy._row(85, "relu", ours, theirs, 2)
    assert row.status == "not measured" and "ours 80.0 %, relu 81.0 %" in row.reason


def test_without_images_it_is_not_measured(tmp_path):
    with pytest.raises(SideError, match="--data"):
        accuracy.run(Bench(tmp_path, None))  # type: ignore[arg-type]
