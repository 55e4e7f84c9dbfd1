"""The harness: refuses ratios without equal outputs, ends what it starts, keeps what is finished.

``builtins:dict`` is a side that returns its arguments.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from benchmarks.bench import Bench
from benchmarks.cache import Cache, fingerprint
from benchmarks.cases.common import same_scores
from benchmarks.errors import SideError
from benchmarks.measure import ROOT, Result, Side, run_side
from benchmarks.rows import DIFFERENT, NOT_MEASURED, Bar, compare
from benchmarks.same import different_arrays, different_outputs, different_work

FASTER = Bar("a", "ours", "theirs", 4.0, "at_least")
SHARE = Bar("b", "ours", "theirs", 0.5, "at_most")
FACTS = {
    "shape": [1, 2],
    "weights": 9,
    "finite": True,
    "input_gradient": True,
    "weight_gradient": True,
}


def echo(name, seconds, output=((1, 2),), **options):
    arguments = {"seconds": list(seconds), "arrays": {"output": [list(row) for row in output]}}
    return Side(name, "builtins:dict", arguments, 1, **options)


def result(name, *rounds, output=((1, 2),)):
    measured = [{"seconds": list(seconds)} for seconds in rounds]
    return Result(Side(name, ""), measured, {"output": np.array(output)})


@pytest.fixture
def bench(tmp_path):
    words = []
    made = Bench(tmp_path, Cache(tmp_path / "cache", {"code": 1}), quick=True, cores=1)
    made.say = words.append
    made.words = words
    return made


# -- ratios ---------------------------------------------------------------------------
def test_a_difference_in_one_integer_gives_no_ratio():
    ours, theirs = result("ours", [1.0]), result("theirs", [9.0], output=((1, 3),))
    row = compare(FASTER, ours, [theirs], same_scores)
    assert (row.ratio, row.met, row.status) == (None, False, DIFFERENT)
    assert "1 of 2 integers differ" in row.reason
    assert row.ours_s is None and row.theirs_s is None


def test_the_fastest_variant_with_equal_outputs_is_compared_with():
    ours = result("ours", [1.0, 3.0], [2.0])
    slow, fast = result("slow", [12.0]), result("fast", [10.0])
    wrong = result("wrong", [1.0], output=((0, 0),))
    row = compare(FASTER, ours, [slow, wrong, fast], same_scores)
    assert (row.ratio, row.met, row.theirs_side) == (5.0, True, "fast")
    assert row.others == {"slow": 12.0, "wrong": 1.0}
    assert "left out, wrong" in row.reason


def test_both_directions():
    ours, theirs = result("ours", [1.0]), result("theirs", [3.0])
    assert compare(FASTER, ours, [theirs], same_scores).met is False
    share = compare(SHARE, ours, [theirs], same_scores)
    assert share.met is True and share.ratio == pytest.approx(1 / 3)


def test_a_missing_side_is_listed_with_its_reason():
    theirs = Result(Side("theirs", ""), failed="there is no Python 3.12")
    row = compare(FASTER, result("ours", [1.0]), [theirs], same_scores)
    assert (row.status, row.met, row.ratio) == (NOT_MEASURED, None, None)
    assert "no Python 3.12" in row.reason


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ([1, 2], [1, 2], ""),
        ([1, 2], [1.0, 2.0], ""),
        ([1, 2], [1.0, 2.0000001], "1 of 2 integers differ"),
        ([1, 2], [[1, 2]], "shapes"),
        ([1, 2], [1, float("nan")], "not finite"),
        ([], [], "no outputs"),
    ],
)
def test_equal_means_exactly_equal(a, b, words):
    found = different_outputs(np.array(a), np.array(b))
    assert (words in found) if words else not found


def test_every_layer_is_compared_and_named():
    a = {"conv1": np.array([1]), "conv2": np.array([2])}
    assert not different_arrays(a, dict(a))
    assert different_arrays(a, {**a, "conv2": np.array([3])}).startswith("conv2: 1 of 1")
    assert different_arrays(a, {"conv1": a["conv1"]})
    assert different_arrays({}, {})


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2, 2]},
        {"weights": 10},
        {"finite": False},
        {"input_gradient": False},
        {"weight_gradient": False},
    ],
)
def test_other_work_of_a_training_block_is_seen(change):
    assert not different_work(FACTS, dict(FACTS))
    assert different_work(FACTS, {**FACTS, **change})


# -- workers --------------------------------------------------------------------------
def test_sides_are_measured_in_turns_in_processes_of_their_own(bench):
    found = bench.measure("case", [echo("a", [1.0]), echo("b", [2.0])], rounds=2)
    order = [word.split(": ")[1] for word in bench.words]
    assert order == ["a", "b", "a", "b"]
    assert found["b"].seconds == [2.0, 2.0]
    assert found["a"].arrays["output"].tolist() == [[1, 2]]
    assert bench.versions["project"]["python"]


def test_a_failing_side_says_why_and_leaves_the_others(bench):
    found = bench.measure("case", [Side("bad", "builtins:int"), echo("good", [1.0])])
    assert "TypeError" in found["bad"].failed
    assert found["good"].seconds == [1.0, 1.0]
    assert sum("not measured" in word for word in bench.words) == 1  # not asked again


def test_an_environment_that_is_missing_says_what_makes_it(bench, tmp_path, monkeypatch):
    from benchmarks import environments

    monkeypatch.setattr(environments, "FOLDER", ROOT / ".venv-bench-none")
    found = bench.measure("case", [echo("theirs", [1.0], environment="spikingjelly")])
    assert "make bench" in found["theirs"].failed


SLEEPER = """
import pathlib, subprocess, sys, time
def run(threads, path):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path(path).write_text(str(child.pid))
    time.sleep(600)
"""


def sleeper(tmp_path, monkeypatch, timeout):
    (tmp_path / "bench_sleeper.py").write_text(SLEEPER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    file = tmp_path / "pid"
    return Side("slow", "bench_sleeper:run", {"path": str(file)}, 1, timeout=timeout), file


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def gone_soon(pid):
    """A killed process may take a moment to go, longer on a busy machine."""
    end = time.monotonic() + 20
    while not gone(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return gone(pid)


@pytest.mark.timeout(90)
def test_a_side_that_does_not_end_is_ended_with_its_children(tmp_path, monkeypatch):
    side, file = sleeper(tmp_path, monkeypatch, 8)
    with pytest.raises(SideError, match="did not end within 8 s"):
        run_side(side, tmp_path, "key", 1)
    assert gone_soon(int(file.read_text()))


INTERRUPTED = """
import sys
from pathlib import Path
from benchmarks.measure import Side, run_side
folder = Path(sys.argv[1])
run_side(Side("slow", "bench_sleeper:run", {"path": str(folder / "pid")}, 1), folder, "key", 1)
"""


@pytest.mark.timeout(90)
@pytest.mark.skipif(sys.platform != "linux", reason="a killed parent is noticed on Linux only")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_benchmark(tmp_path, monkeypatch, number):
    _, file = sleeper(tmp_path, monkeypatch, 60)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        end = time.monotonic() + 30
        while not (file.exists() and file.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        worker = psutil.Process(int(file.read_text())).ppid()
        process.send_signal(number)
        process.wait(30)
        assert gone_soon(worker)
    finally:
        process.kill()
        process.wait()
        if file.exists() and file.read_text() and not gone(int(file.read_text())):
            os.kill(int(file.read_text()), signal.SIGKILL)  # SIGKILL spares grandchildren


# -- what is kept ---------------------------------------------------------------------
def test_finished_rounds_are_reused_and_others_measured(bench, tmp_path):
    sides = [echo("a", [1.0])]
    bench.measure("case", sides, rounds=1)
    bench.words.clear()
    again = bench.measure("case", sides, rounds=2)["a"]
    assert ["kept" in word for word in bench.words] == [True, False]
    assert again.seconds == [1.0, 1.0] and again.arrays["output"].tolist() == [[1, 2]]


def test_other_code_other_arguments_and_fresh_measure_anew(tmp_path):
    folder = tmp_path / "cache"
    base = Cache(folder, {"code": 1})
    base.put(base.key(case="a"), {"sides": {}})
    assert base.get(base.key(case="a")) is not None
    assert base.get(base.key(case="b")) is None
    assert Cache(folder, {"code": 2}).get(Cache(folder, {"code": 2}).key(case="a")) is None
    assert Cache(folder, {"code": 1}, fresh=True).get(base.key(case="a")) is None


def test_a_damaged_or_partial_round_is_measured_anew(tmp_path):
    cache = Cache(tmp_path, {})
    (tmp_path / "k.json").write_text('{"sides": {')
    assert cache.get("k") is None
    cache.put("k", {"sides": {"a": {"npz": str(tmp_path / "missing.npz")}}})
    assert cache.get("k") is None


def test_the_fingerprint_sees_every_source(tmp_path):
    (tmp_path / "p").mkdir()
    file = tmp_path / "p" / "m.py"
    file.write_text("a = 1\n")
    before = fingerprint(tmp_path, ("p",))
    file.write_text("a = 2\n")
    assert fingerprint(tmp_path, ("p",)) != before
