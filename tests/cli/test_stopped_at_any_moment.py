"""Ctrl-C, SIGTERM or a closed terminal, at a drawn moment of a drawn command: nothing is left.

``MLSNN_MOMENTS`` is the number of moments; each costs the start of a process.
"""

from __future__ import annotations

import fcntl
import os
import pty
import random
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

import lava_mlsnn

pytest.importorskip("psutil")
from trust.soak.commands import (
    COMMANDS,
    SIGNALS,
    arguments,
    family,
    listens,
    nothing_is_left,
)

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

# in another folder, also where the package is not installed
HERE = {**os.environ, "PYTHONPATH": str(Path(lava_mlsnn.__file__).parents[1])}
MOMENTS = int(os.environ.get("MLSNN_MOMENTS", "8"))


def start(arguments: list[str], folder: Path, **options) -> subprocess.Popen:
    (folder / "tmp").mkdir()
    (folder / "out").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "lava_mlsnn", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd=folder,
        env={**HERE, "TMPDIR": str(folder / "tmp"), "MPLCONFIGDIR": str(folder / "mpl")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )
    while process.poll() is None and not listens(process.pid):
        time.sleep(0.001)
    return process


@pytest.mark.parametrize("seed", range(MOMENTS))
def test_a_signal_at_any_moment(trained, tmp_path, seed):
    draw = random.Random(seed)
    names = sorted(COMMANDS)
    name = names[seed % len(names)]
    number = SIGNALS[seed % 3]
    words = {
        "OUT": "out",
        "MODEL": str(trained[0] / "model.pt"),
        "NET": str(trained[0] / "network.net"),
    }
    process = start(arguments(name, words), tmp_path)
    try:
        time.sleep(draw.choice([0, draw.uniform(0, 0.3), draw.uniform(0, 3)]))
        finished = process.poll() is not None
        sent = time.monotonic()
        if not finished:
            (os.killpg if draw.random() < 0.7 else os.kill)(process.pid, number)
        _, err = process.communicate(timeout=5)
        assert time.monotonic() - sent < 5
        if not finished and b"mlsnn: stopped" in err:
            assert process.returncode == 128 + number
            assert err.endswith(b"mlsnn: stopped\n") and err.count(b"stopped") == 1
        else:  # it had just come to its end
            assert process.returncode == 0, err
        assert b"Traceback" not in err and b"ignored" not in err and b"leaked" not in err
        nothing_is_left(tmp_path, process.pid)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_libraries_are_imported(tmp_path, number):
    """In the middle of an import an exception is a traceback, or is swallowed."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "import os, signal, time\n"
        "try:\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    time.sleep(9)\n"
        "except BaseException:\n"
        "    pass  # as some do\n"
    )
    process = subprocess.run(
        [sys.executable, "-m", "lava_mlsnn", "train", "--out", "x"],
        capture_output=True,
        cwd=tmp_path,
        env=HERE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        timeout=60,
    )
    assert process.returncode == 128 + number
    assert (process.stdout, process.stderr) == (b"", b"mlsnn: stopped\n")


def test_a_call_that_does_not_return_is_left_behind(tmp_path):
    """The main thread handles signals between two instructions; this one is long."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "import os, signal, sys, threading\n"
        "def send():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Timer(0.2, send).start()\n"
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "while True:\n"  # a call that a signal cuts short begins again, as in a library
        "    libc.sleep(30) and libc.sleep(30)\n"
    )
    begin = time.monotonic()
    process = subprocess.run(
        [sys.executable, "-m", "lava_mlsnn", "train", "--out", "x"],
        capture_output=True,
        cwd=tmp_path,
        env=HERE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        timeout=60,
    )
    assert process.returncode == 130 and process.stderr == b"mlsnn: stopped\n"
    assert time.monotonic() - begin < 20


def test_an_ignored_signal_stays_ignored(tmp_path):
    """``nohup`` and jobs in the background of a script."""
    code = (
        "import os, signal, sys\n"
        "sys.argv = ['mlsnn', '--version']\n"
        "from lava_mlsnn.cli.stop import install\n"
        "install()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "from lava_mlsnn.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        ["bash", "-c", f"trap '' HUP INT; exec '{sys.executable}' -c \"$0\"", code],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.startswith("mlsnn ") and done.stderr == ""


def test_what_was_said_before_is_not_lost(tmp_path):
    """Standard output into a file is written late; a stopped command has written it."""
    code = (
        "import os, signal, sys\n"
        "from lava_mlsnn.cli.stop import install\n"
        "install()\n"
        "print('said before')\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (143, "said before\n", "mlsnn: stopped\n")


def test_a_closed_terminal(trained, tmp_path):
    """The window is shut during a run: the terminal is gone, nobody can be told, all ends."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lava_mlsnn", "train", "--out", "out", "--epochs", "999"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=tmp_path,
        env=HERE,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(follower)
    try:
        while process.poll() is None and not (tmp_path / "out" / "model.pt").exists():
            os.read(leader, 65536)
        os.close(leader)
        assert process.wait(5) == 129
        there = {"model.pt", "best.pt", "log.jsonl", "curve.png", "tensorboard"}
        assert set(os.listdir(tmp_path / "out")) <= there and family(process.pid) == []
    finally:
        process.kill()
        process.wait()


def test_a_hole_in_the_installation_is_not_code_1(tmp_path):
    (tmp_path / "typer.py").write_text("raise ImportError('no typer')")
    done = subprocess.run(
        [sys.executable, "-m", "lava_mlsnn", "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=HERE,
    )
    assert done.returncode == 70 and done.stdout == ""
    assert done.stderr.startswith("mlsnn: error: the installation is not whole (no typer)")
