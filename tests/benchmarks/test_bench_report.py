"""The report: its files from a canned measurement, and the fields that others read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.cases.common import same_scores
from benchmarks.measure import Result, Side
from benchmarks.report import load_latest, write_report
from benchmarks.rows import Bar, compare, not_measured, single

REQUIRED = {"name", "ratio", "goal", "met", "ours_s", "theirs_s"}
FIELDS = REQUIRED | {"direction", "unit", "status", "reason", "date", "command", "ratio_quartiles"}


def result(name, *rounds):
    measured = [{"seconds": list(seconds)} for seconds in rounds]
    return Result(Side(name, ""), measured, {"output": np.array([[1]])})


def rows():
    ours, theirs = result("ours", [0.001, 0.002], [0.001]), result("theirs, NCHW", [0.9], [1.1])
    size = Bar("memory", "peak memory", "torch", 1.3, per="run", unit="B")
    start = single(Bar("start", "from the file", "-", 5.0, per="start"), result("start", [2.0]))
    start.parts = {"read the file": 0.25}
    jelly = Bar("jelly", "block", "SpikingJelly", 1.5, "at_least")
    other = Bar("other", "block", "SpikingJelly", 1.5, "at_least")
    slope = Bar("scaling-T", "runner as T grows", "1 is linear", 1.1)
    found = [
        compare(Bar("fast", "work", "theirs", 500.0, "at_least"), ours, [theirs], same_scores),
        compare(size, result("ours", [3 * 2**20]), [result("torch", [2 * 2**20])], same_scores),
        start,
        single(slope, result("runner", [1.0]), 1.02),
        not_measured(jelly, "no Python 3.11 or newer was found"),
        not_measured(other, "1 of 10 integers differ", "outputs differ"),
        compare(Bar("info", "work", "theirs", None), ours, [theirs], same_scores),
    ]
    for row in found:
        row.command = "python -m benchmarks"
    return found


def context(**changes):
    curve = {"label": "T", "x": [1, 2, 4], "seconds": [0.1, 0.2, 0.4], "slope": 1.0}
    profile = {
        "runner": {"seconds": [0.1], "layers": {"conv1": 0.06, "conv2": 0.04}, "functions": "f"},
        "block": {"failed": "it did not end"},
    }
    stock = {"seconds_a_step": 0.2, "alone": 0.1, "layer": "stem", "equal": True}
    return {
        "machine": {
            "cpu": "a CPU",
            "cores": 2,
            "instructions": ["avx2"],
            "memory_gib": 8.0,
            "system": "Linux 6",
        },
        "cores": 2,
        "threads": 2,
        "commit": "0123456789ab",
        "code_changed": False,
        "date": "2026-01-01T00:00+00:00",
        "command": "python -m benchmarks",
        "quick": False,
        "rounds": 5,
        "busy": 0.0,
        "versions": {"project": {"torch": "2.3.1"}},
        "extras": {"scaling": {"T": curve}, "profile": profile, "stock_conv_in_lava": stock},
        **changes,
    }


def test_latest_json_is_a_list_of_objects_with_the_promised_fields(tmp_path):
    write_report(tmp_path, rows(), context())
    found = json.loads((tmp_path / "latest.json").read_text())
    assert isinstance(found, list) and all(row.keys() >= FIELDS for row in found)
    assert found == load_latest(tmp_path)
    for row in found:
        assert row["met"] in (True, False, None) and row["direction"] in ("at_least", "at_most")
        assert row["goal"] is None or isinstance(row["goal"], float)
        if row["status"] != "measured":
            assert row["ratio"] is row["ours_s"] is row["theirs_s"] is None and row["reason"]
    assert found[0]["ratio"] == pytest.approx(1000.0) and found[0]["met"] is True
    assert found[1]["unit"] == "B" and found[1]["ratio"] == pytest.approx(1.5)
    assert found[1]["met"] is False
    assert found[2]["theirs_s"] is None and found[2]["ours_s"] == 2.0 and found[2]["met"] is True


def test_no_report_is_no_rows(tmp_path):
    assert load_latest(tmp_path) == []


def test_the_page_says_all_that_the_numbers_depend_on(tmp_path):
    write_report(tmp_path, rows(), context())
    text = (tmp_path / "latest.md").read_text()
    for words in (
        "a CPU",
        "0123456789ab",
        "2026-01-01",
        "`python -m benchmarks`",
        "at least 500x | yes, 1,000x",
        "at most 1.3x | **no**, 1.5x",
        "at most 5 s | yes, 2 s",
        "yes, 1.02",
        "2 MiB",
        "no Python 3.11 or newer was found",
        "outputs differ",
        "torch 2.3.1",
        "read the file",
    ):
        assert words in text, words
    assert "quick run" not in text and "keep" not in text
    lines = [line for line in text.splitlines() if line.startswith("| work") or "---" in line]
    assert lines[0].count("|") == lines[1].count("|")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quick": True}, "A quick run"),
        ({"busy": 1.5}, "Other processes kept up to 1.5 cores busy"),
        ({"code_changed": True}, "The code changed"),
    ],
)
def test_what_makes_the_numbers_doubtful_is_on_the_page(tmp_path, change, words):
    write_report(tmp_path, rows(), context(**change))
    assert words in (tmp_path / "latest.md").read_text()


def test_profile_and_plot(tmp_path):
    write_report(tmp_path, rows(), context())
    text = (tmp_path / "profile.md").read_text()
    assert "| conv1 | 60 ms | 60.0% |" in text and "Not measured: it did not end." in text
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")
    kept = json.loads((tmp_path / "context.json").read_text())
    assert kept["commit"] == "0123456789ab" and kept["extras"]["scaling"]["T"]["slope"] == 1.0
