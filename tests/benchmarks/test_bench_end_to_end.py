"""``python -m benchmarks --quick`` on a cheap case, and what the command line refuses."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys

import pytest

from benchmarks.cache import fingerprint
from benchmarks.measure import ROOT
from benchmarks.run import CASES


def bench(*options, timeout=240):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, options)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.mark.timeout(280)
def test_a_quick_case_runs_writes_and_resumes(tmp_path):
    out, work = tmp_path / "out", tmp_path / "work"
    options = ("--quick", "--only", "gpu", "--only", "scaling", "--out", out, "--work", work)
    code = fingerprint()
    first = bench(*options)
    assert first.returncode == 0, first.stdout + first.stderr
    rows = json.loads((out / "latest.json").read_text())
    names = [row["name"] for row in rows]
    assert names == [
        *(f"scaling-{axis}" for axis in ("depth", "width", "T", "samples")),
        "gpu-training",
        "gpu-memory",
    ]
    assert all(row["ours_s"] > 0 for row in rows[:4])
    for row in rows[4:]:
        assert row["ratio"] is not None or row["reason"]
    assert {f.name for f in out.iterdir()} == {
        "latest.json",
        "latest.md",
        "context.json",
        "scaling.png",
    }
    second = bench(*options)
    if fingerprint() != code:
        pytest.skip("someone edits the code while it is measured, so nothing can be kept")
    assert second.returncode == 0 and "kept from an earlier run" in second.stdout
    assert [r["ours_s"] for r in json.loads((out / "latest.json").read_text())[:4]] == [
        row["ours_s"] for row in rows[:4]
    ]


@pytest.mark.timeout(90)
def test_ctrl_c_says_what_goes_on(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "scaling"]
    process = subprocess.Popen(
        [*command, "--work", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout is not None
        while "making" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "goes on after the last round" in error and "Traceback" not in error
    assert not list(tmp_path.glob("*chain*part*"))


def test_unknown_cases_are_refused():
    done = bench("--only", "nothing")
    assert done.returncode == 2 and "invalid choice" in done.stderr


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_a_module_with_a_run(name):
    module = importlib.import_module(f"benchmarks.cases.{name}")
    assert name == module.NAME and callable(module.run)
