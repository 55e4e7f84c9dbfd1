"""A short soak finds nothing, and every part of it finds what is put there."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("psutil")
pytest.importorskip("onnxruntime")

from lava_mlsnn.runner import IntegerRunner
from lava_mlsnn.training import TrainConfig
from netx_export import lava_available
from netx_export.spec import NetworkSpec
from trust.networks import seeded
from trust.soak import agree, flags, kills, lava_runs
from trust.soak.flags import digest
from trust.soak.models import DrawnModel

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(180),
]
quiet = lambda _: None  # noqa: E731
needs_lava = pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10")


def test_drawn_networks_and_models_agree_on_every_side(tmp_path):
    found = agree.agree(60, 6, 11, tmp_path, quiet, lava_every=10**9)
    assert found["findings"] == [] and found["networks"] == 6
    sides = found["compared with plain 64-bit integers"]
    assert {"training forward", "runner", "stream engine", "file round trip"} <= set(sides)
    assert found["integers compared"] > 10_000


def test_an_integer_that_differs_is_a_finding(tmp_path, monkeypatch):
    real = IntegerRunner.trace

    def wrong(self, *args, **options):
        trace = real(self, *args, **options)
        if self.kind == "general":
            next(iter(trace.layers.values())).flat[0] += 1
        return trace

    monkeypatch.setattr(IntegerRunner, "trace", wrong)
    (finding,) = agree.agree(60, 1, 1, tmp_path, quiet)["findings"]
    assert "network 1" in finding and "runner differs in" in finding


def test_the_same_seed_is_the_same_network():
    first, again = (seeded(5, joins=True) for _ in range(2))
    assert isinstance(first, NetworkSpec) and digest(5, 1) == digest(5, 1) != digest(6, 1)
    assert len(first.layers) == len(again.layers)
    made = [DrawnModel(s) for s in range(30)]
    assert {op for model in made for op, _, _ in model.steps} == {"add", "block"}
    kinds = {type(b).__name__ for model in made for b in model.blocks}
    assert {"Conv", "ConvT", "Pool", "MaxPool", "Residual"} <= kinds


@pytest.fixture
def one_recipe(monkeypatch):
    monkeypatch.setattr(kills, "RECIPES", {"adamw": TrainConfig(epochs=3, batch_size=8, shift=1)})


def test_kills_lose_nothing(tmp_path, one_recipe):
    found = kills.kills(600, 1, 3, tmp_path, quiet)
    assert found["findings"] == []
    assert all(job["finished"] for job in found["jobs"].values())
    assert sum(job["kills"] for job in found["jobs"].values()) > 0


def test_a_resume_that_differs_is_a_finding(tmp_path, monkeypatch, one_recipe):
    monkeypatch.setattr(kills, "equal", lambda a, b: False)
    found = kills.kills(600, 1, 3, tmp_path, quiet)
    assert all("it ended otherwise" in finding for finding in found["findings"])
    assert found["findings"]


def test_flags_of_the_platform_change_no_integer(tmp_path, monkeypatch):
    chosen = ({}, {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"})
    monkeypatch.setattr(flags, "FLAGS", chosen)
    found = flags.flags(600, 3, 0, tmp_path, quiet)
    assert found["findings"] == [] and len(found["flags"]) == 2


@needs_lava
@pytest.mark.lava
def test_streaming_equals_the_runner(tmp_path, monkeypatch):
    monkeypatch.setattr(lava_runs, "SAMPLES", 200)
    found = lava_runs.streaming(60, 200, 2, tmp_path, quiet)
    assert found["findings"] == [] and found["differences"] == 0 and found["timesteps"] >= 200
    real = IntegerRunner.run

    def wrong(self, x):
        trace = real(self, x)
        np.add.at(trace.output, (0, 0, 0), 1)
        return trace

    monkeypatch.setattr(IntegerRunner, "run", wrong)
    assert lava_runs.streaming(60, 200, 2, tmp_path, quiet)["findings"] == ["1 values differ"]
