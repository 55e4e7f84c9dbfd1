"""Ctrl-C, SIGTERM and a closed terminal at random moments of every command."""

from __future__ import annotations

import atexit
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trust.soak.commands import COMMANDS, SIGNALS, arguments, listens, nothing_is_left

__all__ = ["stops"]

LATEST = 5.0  # seconds until a stopped command has ended
LONGEST = 20.0  # of a command: a moment lies within
FRESH = 10  # one in so many is a process of its own, whose imports are stopped too


def stops(
    seconds: float, count: int, seed: int, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Send ``count`` signals to each command, in turn, as far as the time goes.

    Most commands run in children forked from this process, which has imported what they
    need: a process for each would spend its time on imports.
    """
    end = time.monotonic() + seconds
    words = {"OUT": "out", "MODEL": str(folder / "model.pt"), "NET": str(folder / "network.net")}
    usual: dict[str, float] = {}
    tallies = {name: {"signals": 0, "ended before": 0, "slowest end": 0.0} for name in COMMANDS}
    findings: list[str] = []
    _prepare(folder)
    for number in range(count):
        draw = random.Random(seed + number)
        for name in COMMANDS:
            if time.monotonic() > end:
                return {"commands": tallies, "findings": findings}
            place = Path(tempfile.mkdtemp(dir=folder))
            given = arguments(name, words)
            try:
                if name not in usual:
                    usual[name] = _length(given, place)
                    _clean(place)
                _stop(given, place, draw, usual[name], number % FRESH == FRESH - 1, tallies[name])
            except Exception:
                findings.append(f"{name}, seed {seed + number}: {traceback.format_exc()[-1500:]}")
                say(findings[-1])
            finally:
                shutil.rmtree(place, ignore_errors=True)
        sent = sum(int(t["signals"]) for t in tallies.values())
        say(f"{sent} signals to {len(tallies)} commands, {len(findings)} findings")
    return {"commands": tallies, "findings": findings}


def _prepare(folder: Path) -> None:
    """A trained network; everything that commands import."""
    import lava_mlsnn.cli.app
    import lava_mlsnn.cli.demo
    import lava_mlsnn.reproduce.run
    import lava_mlsnn.training.loop  # noqa: F401

    place = folder / "prepared"
    shared = ["--out", str(folder), "--epochs", "1", "--width", "4", "--batch-size", "128"]
    exported = ["export", str(folder / "model.pt"), "--out", str(folder / "network.net")]
    for given in (["train", *shared], exported):
        pid = _forked(given, place)
        assert _wait(pid, 600) == 0, (place / "err").read_text()
        _clean(place)


def _clean(place: Path) -> None:
    shutil.rmtree(place)
    place.mkdir()


def _folders(place: Path) -> None:
    for name in ("tmp", "out"):
        (place / name).mkdir(parents=True)


def _forked(given: list[str], place: Path) -> int:
    """A child in a session of its own that is the command."""
    _folders(place)
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        os.chdir(place)
        for number, name in ((1, "out.txt"), (2, "err")):
            os.dup2(os.open(place / name, os.O_CREAT | os.O_WRONLY), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        tempfile.tempdir = os.environ["TMPDIR"] = str(place / "tmp")
        os.environ["MPLCONFIGDIR"] = str(place / "mpl")
        sys.argv = ["mlsnn", *given]
        from lava_mlsnn.cli import main

        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _fresh(given: list[str], place: Path) -> int:
    """A process of its own."""
    _folders(place)
    with open(place / "out.txt", "wb") as out, open(place / "err", "wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "lava_mlsnn", *given],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            cwd=place,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "TMPDIR": str(place / "tmp"),
                "MPLCONFIGDIR": str(place / "mpl"),
            },
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    process.returncode = 0  # it is waited for by its number, as a forked one is
    return process.pid


def _wait(pid: int, seconds: float) -> int | None:
    """Exit code, negative for a signal; None if the process goes on."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def _length(given: list[str], place: Path) -> float:
    """Seconds that the command takes, up to :data:`LONGEST`."""
    began = time.monotonic()
    pid = _forked(given, place)
    if _wait(pid, LONGEST) is None:
        os.killpg(pid, signal.SIGTERM)
        if _wait(pid, 60) is None:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return time.monotonic() - began


def _stop(
    given: list[str], place: Path, draw: random.Random, usual: float, fresh: bool,
    tally: dict[str, Any],
) -> None:  # fmt: skip
    pid = (_fresh if fresh else _forked)(given, place)
    code: int | None = None
    try:
        while (code := _wait(pid, 0)) is None and not listens(pid):
            time.sleep(0.001)
        number, moment = draw.choice(SIGNALS), draw.uniform(0, usual)
        if code is None:
            code = _wait(pid, moment)
        if code is not None:
            tally["ended before"] += 1
            assert code == 0, (place / "err").read_text()
            return
        (os.killpg if draw.random() < 0.7 else os.kill)(pid, number)
        sent = time.monotonic()
        code = _wait(pid, 60)
        late = time.monotonic() - sent
        said = (place / "err").read_text()
        assert code is not None, f"it went on for 60 s after signal {int(number)}"
        assert late < LATEST, f"it took {late:.1f} s to end after signal {int(number)}"
        # one that had just come to its end has nothing to say
        assert code == 128 + number or (code == 0 and "stopped" not in said), (code, said)
        if code:
            assert said.endswith("mlsnn: stopped\n") and said.count("stopped") == 1, said
        for word in ("Traceback", "ignored", "leaked"):
            assert word not in said, said
        tally["signals"] += 1
        tally["slowest end"] = round(max(tally["slowest end"], late), 2)
        nothing_is_left(place, pid)
    finally:
        if code is None:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
