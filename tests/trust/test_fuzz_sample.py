"""A few seconds of fuzzing find nothing, and the fuzzer finds what is put there."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from lava_mlsnn.errors import DataError
from trust.fuzz import pool
from trust.fuzz.lines import Lines
from trust.fuzz.pool import TARGETS, fuzz
from trust.fuzz.targets import Target, named

CASES = {"network": 80, "lava-dl": 80, "checkpoint": 40, "images": 500, "events": 2000}
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
pytestmark = [linux, pytest.mark.timeout(120)]


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_refused_by_name_or_read(name, tmp_path):
    most = CASES.get(name, 300)
    tallies = fuzz(100, [name], seed=7, most=most, say=lambda _: None)
    if name not in tallies:
        pytest.skip("the package that reads these is not installed")
    tally = tallies[name]
    assert tally.findings == {}
    assert tally.executions == most and tally.steps > 50 and tally.kept > 0


def hang(path: Path) -> None:
    while True:
        pass


def grow(path: Path) -> None:
    assert len(b"x" * (300 << 20)) > 1


def end(path: Path) -> None:
    os._exit(3)  # as HDF5 does


def stumble(path: Path) -> None:
    raise KeyError("of a library")


def unnamed(path: Path) -> None:
    named(DataError("it is damaged"), path)


def escape(path: Path) -> None:
    named(DataError("a \x1b[31m b", str(path)), path)


def slow(path: Path) -> None:
    began = time.process_time()
    while time.process_time() < began + 0.3:
        pass


PLANTED = {
    hang: "child killed after 1 s of the processor for one file",
    grow: "memory",
    end: "child ended by code 3",
    stumble: "raised KeyError",
    unnamed: "the message does not name the file",
    escape: "the message is no plain line",
    slow: "slow",
}


@pytest.mark.parametrize("fault", PLANTED, ids=lambda f: f.__name__)
def test_a_fault_that_is_put_there_is_found_and_its_file_kept(fault, monkeypatch):
    def read(path, deep):
        if path.read_bytes() != b"abc":
            fault(path)

    target = Target("planted", lambda folder: [b"abc"], read)
    monkeypatch.setattr(pool, "STUCK", 1.0)
    monkeypatch.setattr("trust.fuzz.child.MOST_SECONDS", 0.1)
    monkeypatch.setitem(pool.TARGETS, "planted", lambda folder: target)
    (tally,) = fuzz(100, ["planted"], most=2, say=lambda _: None).values()
    (what,) = (f for f in tally.findings if f.startswith(PLANTED[fault]))
    assert tally.findings[what].data != b"abc"


def test_lines_of_our_code_are_followed_and_others_are_not(tmp_path):
    from lava_mlsnn.checks import check_whole

    lines = Lines()
    with lines.collected() as short:
        check_whole("a", 1, 0, 2)
    with lines.collected() as long, pytest.raises(ValueError):
        check_whole("a", 3, 0, 2)
    assert short and long - short
    with lines.collected() as none:
        tmp_path.exists()
    assert none == set()
