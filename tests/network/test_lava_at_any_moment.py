"""Signals and threads around a run in Lava: none is lost, nothing is left, all is put back."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest

from lava_mlsnn.errors import ConfigError, RunError
from lava_mlsnn.lava.run import run_lava
from netx_export.spec import Dense, Input, MultiLevel, NetworkSpec, Population, Readout

psutil = pytest.importorskip("psutil")
pytest.importorskip("lava.magma")
pytestmark = [pytest.mark.lava, pytest.mark.timeout(120)]

MOMENTS = int(os.environ.get("MLSNN_MOMENTS", "6"))
X = np.ones((2, 6), int)
NETWORK = """
import numpy as np
from netx_export.spec import Dense, Input, MultiLevel, NetworkSpec, Population, Readout
weight = np.arange(30).reshape(5, 6) - 12
spec = NetworkSpec((
    Input((6,), levels=9),
    Population("hidden", (5,), (Dense(0, weight),), MultiLevel(4, [30], [0])),
    Population("out", (3,), (Dense(1, weight[:3, :5]),), Readout()),
))
"""


def small() -> NetworkSpec:
    weight = np.arange(30).reshape(5, 6) - 12
    return NetworkSpec(
        (
            Input((6,), levels=9),
            Population("hidden", (5,), (Dense(0, weight),), MultiLevel(4, [30], [0])),
            Population("out", (3,), (Dense(1, weight[:3, :5]),), Readout()),
        )
    )


def run_script(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", NETWORK + code, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
    )


def segments(pids: list[int]) -> set[str]:
    """Named shared memory that these processes use."""
    found = set()
    for pid in pids:
        maps = Path(f"/proc/{pid}/maps")
        try:
            lines = maps.read_text().splitlines()
        except OSError:  # gone, or another system than Linux
            continue
        paths = {line.split(maxsplit=5)[5] for line in lines if "/dev/shm/" in line}
        found |= {path for path in paths if not path.endswith(" (deleted)")}  # no name any more
    return found


def test_a_signal_inside_any_fork_of_the_start_is_not_lost():
    """Hooks of a fork drop an exception; so the k-th fork of a run is interrupted, for every k."""
    code = """
import os, signal, sys, time
from lava_mlsnn.lava.run import run_lava
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGUSR1, signal.default_int_handler)
parent, forks, chosen, number = os.getpid(), 0, None, None

def hook():
    global forks
    if os.getpid() == parent:
        forks += 1
        if forks == chosen:
            os.kill(parent, number)

os.register_at_fork(before=hook)
for per_layer in (False, True):
    forks = 0
    chosen = None
    run_lava(spec, np.ones((2, 6), int), per_layer=per_layer)
    for k in range(1, forks + 1):
        for number in (signal.SIGINT, signal.SIGUSR1)[: 1 + (k == 1)]:
            forks, chosen, start = 0, k, time.monotonic()
            try:
                run_lava(spec, np.ones((20000, 6), int), per_layer=per_layer)
            except KeyboardInterrupt:
                assert time.monotonic() - start < 5
                import multiprocessing
                assert multiprocessing.active_children() == []
            else:
                sys.exit(f"lost in fork {k}")
print("fine")
"""
    done = run_script(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


@pytest.mark.parametrize("seed", range(MOMENTS))
def test_a_signal_at_a_drawn_moment_leaves_nothing(seed):
    """To the whole group, as a terminal does it; SIGKILL to the parent alone."""
    draw = random.Random(seed)
    number = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL)[seed % 4]
    code = """
import signal, sys
from lava_mlsnn.lava.run import run_lava
signal.signal(signal.SIGINT, signal.default_int_handler)
import lava.magma.core.process.process
print("now", flush=True)
try:
    run_lava(spec, np.ones((200000, 6), int), per_layer="per" in sys.argv)
except KeyboardInterrupt:
    sys.exit(130)
"""
    script = subprocess.Popen(
        [sys.executable, "-c", NETWORK + code, draw.choice(["leaf", "per"])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert script.stdout is not None and script.stdout.readline() == "now\n"
        time.sleep(draw.uniform(0, 1.2))
        children = psutil.Process(script.pid).children(recursive=True)
        assert segments([script.pid, *(child.pid for child in children)]) == set()
        (os.kill if number == signal.SIGKILL else os.killpg)(script.pid, number)
        out, err = script.communicate(timeout=5)
        assert script.returncode == (130 if number == signal.SIGINT else -number)
        assert (out, err) == ("", "")
        _, alive = psutil.wait_procs(children, timeout=2)
        assert alive == []
        time.sleep(0.1)
        for process in psutil.process_iter(["pid"]):  # one that was forked since
            with contextlib.suppress(ProcessLookupError):
                assert os.getpgid(process.pid) != script.pid
    finally:
        script.kill()
        script.wait()


@pytest.mark.parametrize("per_layer", [False, True])
def test_a_run_names_no_shared_memory_and_starts_no_tracker(per_layer):
    """Memory without a name cannot be leaked, so nobody warns of it either."""
    names, seen = set(), set()
    others = {p.pid for p in psutil.Process().children(recursive=True)}  # of tests before

    def look(done: int, total: int) -> None:
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        names.update(" ".join(p.cmdline()) for p in family[1:] if p.pid not in others)
        seen.update(segments([p.pid for p in family]))

    before = segments([os.getpid()])
    run_lava(small(), np.ones((200, 6), int), per_layer=per_layer, progress=look)
    assert names and not any("import main;main(" in name for name in names), names
    assert seen <= before


@pytest.mark.parametrize("per_layer", [False, True])
def test_nothing_of_a_run_is_kept_in_memory(per_layer):
    """Lava's own registries kept every Var, and so every network, its weights and its samples."""
    spec = small()
    kept = weakref.ref(spec)
    run_lava(spec, X, per_layer=per_layer)
    del spec
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("seed", range(2))
def test_threads_may_run_at_the_same_time(seed):
    """Drawn starts, layouts, failures and prints of other threads; all is as it was."""
    draw = random.Random(seed)
    expected = {per: run_lava(small(), X, per_layer=per).output.tolist() for per in (False, True)}
    stdout, handlers = sys.stdout, list(logging.getLogger().handlers)
    filters, method = list(warnings.filters), multiprocessing.get_start_method(allow_none=True)
    found: list[bool] = []
    mine = logging.NullHandler()

    def one(delay: float, per: bool, timeout: float | None) -> None:
        time.sleep(delay)
        try:
            out = run_lava(small(), X, per_layer=per, timeout=timeout).output.tolist()
            found.append(out == expected[per])
        except RunError:
            found.append(timeout is not None)

    plans = [
        (draw.uniform(0, 0.3), draw.random() < 0.5, draw.choice([None, None, 0.01]))
        for _ in range(6)
    ]
    threads = [
        threading.Thread(target=one, args=plan, daemon=draw.random() < 0.5) for plan in plans
    ]
    for thread in threads:
        thread.start()
    logging.getLogger().addHandler(mine)  # while they start
    for thread in threads:
        thread.join(60)
    assert found == [True] * len(plans)
    assert sys.stdout is stdout and warnings.filters == filters
    assert logging.getLogger().handlers == [*handlers, mine]
    logging.getLogger().removeHandler(mine)
    assert multiprocessing.get_start_method(allow_none=True) == method
    assert multiprocessing.active_children() == []


def test_prints_of_other_threads_are_not_swallowed(capfd):
    stop = threading.Event()
    count = 0

    def talk() -> None:
        nonlocal count
        while not stop.wait(0.002):
            print("word")
            count += 1

    thread = threading.Thread(target=talk)
    thread.start()
    run_lava(small(), X)
    stop.set()
    thread.join()
    assert count and capfd.readouterr().out == "word\n" * count


def test_a_run_inside_the_progress_of_a_run():
    inner = []

    def progress(done: int, total: int) -> None:
        if not inner:
            inner.append(run_lava(small(), X).output)

    outer = run_lava(small(), X, progress=progress).output
    assert np.array_equal(outer, inner[0])


def test_in_a_thread_of_an_event_loop_after_torch_has_used_its_threads():
    import asyncio

    import torch

    torch.ones(300, 300) @ torch.ones(300, 300)

    async def main() -> list[np.ndarray]:
        here = run_lava(small(), X).output  # as a cell of a notebook does it
        there = await asyncio.get_running_loop().run_in_executor(None, run_lava, small(), X)
        return [here, there.output]

    here, there = asyncio.run(main())
    assert np.array_equal(here, there)


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_the_start_method_that_the_user_chose_comes_back(method):
    code = """
import json, multiprocessing, sys
multiprocessing.set_start_method(sys.argv[1])
from lava_mlsnn.lava.run import run_lava
out = [run_lava(spec, np.ones((1, 6), int)).output.tolist() for _ in range(2)]
print(json.dumps([multiprocessing.get_start_method(), out[0] == out[1]]))
"""
    done = run_script(code, method)
    assert json.loads(done.stdout) == [method, True] and done.stderr == ""


def test_a_daemon_thread_does_not_hold_up_the_end():
    code = """
import threading, time
from lava_mlsnn.lava.run import run_lava
begun = threading.Event()
threading.Thread(
    target=run_lava,
    args=(spec, np.ones((10**6, 6), int)),
    kwargs={"progress": lambda done, total: begun.set()},
    daemon=True,
).start()
assert begun.wait(30)
"""
    start = time.monotonic()
    assert run_script(code).returncode == 0
    assert time.monotonic() - start < 20  # the run would take minutes


@pytest.mark.parametrize("timeout", [1e-9, 0.02, 0.1, 1e30, float("inf")])
@pytest.mark.parametrize("per_layer", [False, True])
def test_the_timeout_covers_the_start(timeout, per_layer):
    if timeout > 1:
        assert run_lava(small(), X, timeout=timeout, per_layer=per_layer).timesteps
        return
    start = time.monotonic()
    with pytest.raises(RunError, match=r"of \d+ timesteps after|another thread"):
        run_lava(small(), np.ones((10**5, 6), int), timeout=timeout, per_layer=per_layer)
    assert time.monotonic() - start < timeout + 3
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "5", [1]])
def test_a_timeout_is_a_positive_number(timeout):
    with pytest.raises(ConfigError, match="timeout must be a number of seconds above 0"):
        run_lava(small(), X, timeout=timeout)


def test_a_child_that_dies_while_it_is_asked(monkeypatch):
    """``Var.get()`` of Lava waits for ever for a child that was killed."""
    from lava_mlsnn.lava.network.process import Network

    real = Network.overflows

    def overflows(network):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)
        return real(network)

    monkeypatch.setattr(Network, "overflows", overflows)
    with pytest.raises(RunError, match="was killed by signal 9"):
        run_lava(small(), X)
    assert multiprocessing.active_children() == []
