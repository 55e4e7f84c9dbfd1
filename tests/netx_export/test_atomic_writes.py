"""Files are whole, as private as before, and nothing but them is in the folder."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netx_export.errors import ConfigError
from netx_export.file import atomic
from netx_export.file.atomic import write_atomic

MODES = st.sampled_from([0o600, 0o640, 0o644, 0o660, 0o666, 0o700, 0o755, 0o400, 0o444, 0o602])
WRITER = """
import os, sys, time
from pathlib import Path
from netx_export.file.atomic import write_atomic
real = os.fsync

def fsync(descriptor):
    print("writing", flush=True)
    time.sleep(60)

os.fsync = fsync
write_atomic(Path(sys.argv[1]), b"new" * 1000)
"""


@contextlib.contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@settings(max_examples=40, deadline=None)
@given(old=st.none() | MODES, mask=st.integers(0, 0o777), link=st.booleans())
def test_an_old_file_keeps_its_permissions_and_a_new_one_follows_the_umask(old, mask, link):
    with tempfile.TemporaryDirectory() as name, umask(mask):
        folder = Path(name)
        target = folder / "a.net"
        if old is not None:
            target.write_bytes(b"old")
            target.chmod(old)
        if link:
            (folder / "link").symlink_to("a.net")
        seen: list[int] = []
        replace = os.replace

        def look(source: Path, to: Path) -> None:
            seen.append(mode(source))
            replace(source, to)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", look)
            write_atomic(folder / "link" if link else target, b"new")
        assert mode(target) == (0o666 & ~mask if old is None else old)
        assert seen == [mode(target)]  # not once wider than it ends
        target.chmod(0o600)
        assert target.read_bytes() == b"new"
        assert sorted(os.listdir(folder)) == ["a.net", "link"][: 1 + link]


def test_the_bytes_of_a_private_file_are_never_readable(tmp_path, monkeypatch):
    target = tmp_path / "a.net"
    target.write_bytes(b"old")
    target.chmod(0o600)
    seen = []
    write = os.write

    def look(descriptor: int, data: memoryview) -> int:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", look)
    with umask(0):
        write_atomic(target, b"secret")
    assert seen == [0o600]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_owner_and_group_stay(tmp_path, monkeypatch):
    target = tmp_path / "a.net"
    target.write_bytes(b"old")
    os.chown(target, 1234, 2345)
    target.chmod(0o640)
    write_atomic(target, b"new")
    found = target.stat()
    assert (found.st_uid, found.st_gid, mode(target)) == (1234, 2345, 0o640)

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refused)
    write_atomic(target, b"newer")
    assert mode(target) == 0o600  # not readable for a group that was not meant


@pytest.mark.timeout(60)
def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path):
    target = tmp_path / "a.net"
    write_atomic(target, b"old")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
        write_atomic(tmp_path / "b.net", b"b")  # while it lives, its file stays
        assert len(os.listdir(tmp_path)) == 3
    finally:
        writer.kill()
        writer.wait()
    assert len(os.listdir(tmp_path)) == 3 and target.read_bytes() == b"old"
    write_atomic(target, b"new")
    assert sorted(os.listdir(tmp_path)) == ["a.net", "b.net"]
    assert target.read_bytes() == b"new"


def test_what_only_looks_stale_stays(tmp_path):
    """Not ours by name, or no plain file: a link, a pipe, a folder."""
    name = ".mlsnn-0123456789abcde{}.tmp"
    (tmp_path / "kept").write_bytes(b"kept")
    (tmp_path / name.format("0")).symlink_to("kept")
    os.mkfifo(tmp_path / name.format("1"))
    (tmp_path / name.format("2")).mkdir()
    for other in (".tmp", "a.tmp", ".mlsnn-.tmp", name.format("g"), name.format("00")):
        (tmp_path / other).write_bytes(b"")
    before = set(os.listdir(tmp_path))
    write_atomic(tmp_path / "a.net", b"a")
    assert set(os.listdir(tmp_path)) == before | {"a.net"}


def test_writers_side_by_side_do_not_take_each_others_files(tmp_path):
    failed = []

    def write(n: int) -> None:
        try:
            for _ in range(20):
                write_atomic(tmp_path / f"{n % 2}.net", bytes([n]) * 1000)
        except ConfigError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and sorted(os.listdir(tmp_path)) == ["0.net", "1.net"]
    for n in range(2):
        content = (tmp_path / f"{n}.net").read_bytes()
        assert len(content) == 1000 and len(set(content)) == 1


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_a_failure_at_any_step_leaves_the_old_file_alone(tmp_path, monkeypatch, step, error):
    target = tmp_path / "a.net"
    target.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((ConfigError, KeyboardInterrupt)):
        write_atomic(target, b"new")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["a.net"] and target.read_bytes() == b"old"
    assert atomic._open_now == set()
