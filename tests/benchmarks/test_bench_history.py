"""Several runs in one table: the worst one is judged, and none gets lost."""

from __future__ import annotations

import json

import pytest
from test_bench_report import context, result

from benchmarks.cases.common import same_scores
from benchmarks.history import KEPT, load_runs
from benchmarks.report import load_latest, write_report
from benchmarks.rows import Bar, compare, not_measured, single

FAST = Bar("fast", "work", "theirs", 2.0, "at_least")
SHARE = Bar("share", "work", "theirs", 0.5)


def measured(bar, ratio):
    ours, theirs = (1.0, ratio) if bar.direction == "at_least" else (ratio, 1.0)
    return compare(bar, result("ours", [ours]), [result("theirs", [theirs])], same_scores)


def written(folder, *rows, **changes):
    write_report(folder, rows, context(**changes))
    return {row["name"]: row for row in load_latest(folder)}


def test_the_worst_of_the_runs_decides_and_the_median_is_shown(tmp_path):
    for ratio, share in ((3.0, 0.3), (1.5, 0.6), (4.0, 0.4)):
        found = written(tmp_path, measured(FAST, ratio), measured(SHARE, share))
    assert (found["fast"]["worst"], found["fast"]["median"], found["fast"]["met"]) == (
        1.5,
        3,
        False,
    )
    assert (found["share"]["worst"], found["share"]["median"]) == (0.6, 0.4)
    assert found["share"]["met"] is False and found["share"]["ratio"] == 0.4
    page = (tmp_path / "latest.md").read_text()
    assert "at least 2x | **no**, 1.5x | 3x of 3 | 4x" in page
    assert "at most 0.5x | **no**, 0.6x | 0.4x of 3 | 0.4x" in page
    assert page.count("| 2026-01-01T00:00+00:00 | a CPU, 2 of 2 cores | 0123456789ab |") == 3


def test_only_the_last_runs_of_a_row_count(tmp_path):
    for ratio in (1.0, *[3.0] * KEPT):
        found = written(tmp_path, measured(FAST, ratio))
    assert found["fast"]["met"] is True and found["fast"]["runs"] == KEPT
    assert len(load_runs(tmp_path)) == KEPT + 1


def test_a_run_of_some_rows_leaves_the_others(tmp_path):
    start = single(Bar("start", "from the file", "-", 5.0), result("start", [2.0]))
    written(tmp_path, measured(FAST, 3.0), start)
    plot = (tmp_path / "scaling.png").read_bytes()
    found = written(tmp_path, measured(FAST, 2.5), extras={}, versions={"onnx": {"onnx": "1"}})
    assert found["start"]["ours_s"] == 2.0 and found["start"]["met"] is True
    assert found["fast"]["runs"] == 2
    kept = json.loads((tmp_path / "context.json").read_text())
    assert set(kept["versions"]) == {"project", "onnx"} and "scaling" in kept["extras"]
    assert (tmp_path / "scaling.png").read_bytes() == plot


def test_a_row_that_was_measured_stays_where_a_later_run_could_not(tmp_path):
    written(tmp_path, measured(FAST, 3.0))
    found = written(tmp_path, not_measured(FAST, "its environment is missing"))
    assert found["fast"]["ratio"] == 3.0 and found["fast"]["status"] == "measured"


def test_outputs_that_differ_now_are_not_covered_by_an_older_run(tmp_path):
    written(tmp_path, measured(FAST, 3.0))
    found = written(tmp_path, not_measured(FAST, "1 of 10 integers differ", "outputs differ"))
    assert found["fast"]["ratio"] is None and found["fast"]["met"] is False


def test_a_quick_run_stands_alone(tmp_path):
    written(tmp_path, measured(FAST, 3.0), quick=True)
    found = written(tmp_path, measured(FAST, 2.5), quick=True)
    assert found["fast"]["runs"] == 1 and not (tmp_path / "runs.json").exists()


def test_a_field_of_another_version_of_the_rows_is_no_obstacle(tmp_path):
    written(tmp_path, measured(FAST, 3.0))
    runs = load_runs(tmp_path)
    runs[0]["rows"][0]["of another version"] = 1
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    assert written(tmp_path, measured(FAST, 5.0))["fast"]["median"] == pytest.approx(4.0)
