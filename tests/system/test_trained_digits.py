"""The trained network on real data, from data to Lava, as `mlsnn demo` does it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lava_mlsnn import IntegerRunner, ModelConfig, check_parity, encode
from lava_mlsnn.data import load_dataset
from lava_mlsnn.training.loop import TrainConfig, accuracy, train
from netx_export import export_model, lava_available, read


@pytest.mark.timeout(300)
def test_digits_keep_their_accuracy_through_export(tmp_path: Path) -> None:
    digits = load_dataset("digits")
    config = ModelConfig(width=8, input_levels=digits.input_levels)
    model = train(config, digits, TrainConfig(epochs=12), threads=1)
    export_model(model, tmp_path / "digits.net")
    spec = read(tmp_path / "digits.net")

    trace = IntegerRunner(spec).run(encode(spec, digits.x_test))
    exported = float((trace.classes == digits.y_test).mean())
    assert exported == accuracy(model, digits.x_test, digits.y_test, "integer")
    assert exported > 0.9  # the demo, trained five times longer and wider, reaches 98 %
    assert exported > accuracy(model, digits.x_test, digits.y_test, "float") - 0.02

    n = 8 if lava_available() else 0
    report = check_parity(spec, digits.x_test[:64], model=model, lava_samples=n)
    assert report.count == 0, str(report)
    assert np.unique(trace.classes).size == 10


@pytest.mark.lava
@pytest.mark.timeout(300)
@pytest.mark.skipif(not lava_available(), reason="Lava needs Python 3.10")
def test_demo_writes_what_it_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lava_mlsnn.cli.console import Console
    from lava_mlsnn.cli.demo import run_demo
    from lava_mlsnn.training import recipe

    run_demo(
        Console(as_json=True),
        tmp_path,
        {"timesteps": 2, "v0": "round"},
        recipe("digits", epochs=1),
        lava_samples=2,
        fresh=False,
    )
    printed = json.loads(capsys.readouterr().out)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert printed == summary
    assert summary["differences"] == 0
    assert (summary["samples_runner"], summary["samples_lava"]) == (450, 2)
    assert 0 <= summary["accuracy_integer"] <= 1 and 0 <= summary["accuracy_float"] <= 1
    assert summary["events_per_neuron"] > 0 and summary["seconds"] > 0
    assert (tmp_path / "activity.png").read_bytes().startswith(b"\x89PNG")
    assert read(tmp_path / "demo.net").timesteps == 2
