"""One run of Lava Processes that cannot hang and leaves nothing behind.

How Lava 0.10 reports a failure, found by experiment: a ProcessModel that raises
tells its runtime service and ends; the service then waits for the answers of
models which themselves wait for the dead one, so a blocking ``run()`` and
``stop()`` never return. A model that is killed tells nobody. Therefore the run is
started without blocking and the child processes are watched from here; on a
failure they are ended instead of asked.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import logging
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from lava_mlsnn.errors import MLSNNError, RunError

__all__ = ["LavaSession", "lava_available", "require_lava"]

POLL = 0.01  # seconds between two looks at the children
GRACE = 5.0  # seconds that children get to end on their own


def lava_available() -> bool:
    """Whether the Lava simulator is installed here; nothing of it is imported."""
    return (
        importlib.util.find_spec("lava") is not None
        and importlib.util.find_spec("lava.magma") is not None
    )


def require_lava() -> None:
    """Make Lava importable, or raise MLSNNError that says what it needs."""
    if not lava_available():
        raise MLSNNError(
            "the Lava simulator needs Python 3.10 with lava-nc 0.10.0 installed, and this is "
            f"Python {sys.version_info.major}.{sys.version_info.minor} without it"
        )
    # Lava sets the start method to fork when imported, which raises once another
    # library (a data loader, say) has used multiprocessing.
    if "lava.magma.runtime.message_infrastructure.multiprocessing" not in sys.modules:
        multiprocessing.set_start_method(None, force=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lava's printing and its root log handlers off the user's terminal.

    Every Process adds a handler to the root logger and leaves it there, so
    fifty Processes print each later message of any library fifty times.
    """
    root = logging.getLogger()
    handlers = list(root.handlers)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.handlers[:] = handlers


class _ForkRules:
    """What the children that Lava forks do about signals, while switched on.

    They ignore Ctrl-C, which reaches the whole group: only the parent acts on it.
    On Linux they die with their parent, so that even one that is killed leaves
    none behind; the kernel ties that to the thread that forked, hence the main
    thread alone.
    """

    active = False
    registered = False
    libc: ctypes.CDLL | None = None
    PR_SET_PDEATHSIG = 1

    @classmethod
    @contextlib.contextmanager
    def on(cls) -> Iterator[None]:
        """Apply the rules to what is forked inside."""
        if not cls.registered:
            os.register_at_fork(after_in_child=cls._in_child)
            cls.registered = True
        main = threading.current_thread() is threading.main_thread()
        cls.libc = ctypes.CDLL(None) if main and sys.platform == "linux" else None
        cls.active = True
        try:
            yield
        finally:
            cls.active = False

    @classmethod
    def _in_child(cls) -> None:
        if cls.active:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if cls.libc is not None:
                cls.libc.prctl(cls.PR_SET_PDEATHSIG, signal.SIGKILL)


class LavaSession:
    """Compiles and starts connected Processes; a context manager that always ends them.

    Parameters
    ----------
    process : AbstractProcess
        Any Process of the connected network.
    run_cfg : RunConfig
        Selects the ProcessModels.
    """

    def __init__(self, process: Any, run_cfg: Any) -> None:
        self.process = process
        self.run_cfg = run_cfg
        self.runtime: Any = None
        self._ok = False
        self._processes: list[Any] = []

    def __enter__(self) -> LavaSession:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        from lava.magma.core.process.message_interface_enum import ActorType
        from lava.magma.runtime.runtime import Runtime

        try:
            with quiet():
                executable = self.process.compile(self.run_cfg)
                self._processes = _with_parents([*executable.proc_builders, self.process])
                self.runtime = Runtime(executable, ActorType.MultiProcessing)
                executable.assign_runtime_to_all_processes(self.runtime)
                self.process._runtime = self.runtime
                with _ForkRules.on():
                    self._initialize(self.runtime)
        except MLSNNError:
            raise
        except Exception as error:
            raise RunError(f"Lava could not start the network: {_one_line(error)}") from error
        self._ok = True

    def _initialize(self, runtime: Any) -> None:
        """``Runtime.initialize`` with one change: it watches while it waits.

        The original waits without end for a child that was killed while starting,
        and prints the traceback of one that raised.
        """
        runtime._build_watchdog_manager()
        runtime._build_message_infrastructure()
        runtime._build_channels()
        runtime._build_sync_channels()
        runtime._build_processes()
        runtime._build_runtime_services()
        runtime._start_ports()
        for answers in runtime.exception_q:
            while True:
                try:
                    error = answers.get(timeout=10 * POLL)
                    break
                except queue.Empty:
                    self._raise_if_dead()
            if error is not None:
                raise error
        del runtime.exception_q
        runtime._is_initialized = True

    def run(
        self,
        steps: int,
        *,
        done: Callable[[], int] | None = None,
        progress: Callable[[int, int], None] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Run ``steps`` timesteps; RunError if a child dies or time is up.

        ``done`` tells how many timesteps are over; each change goes to
        ``progress(done, steps)``.
        """
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal

        end = None if timeout is None else time.monotonic() + timeout
        self._ok = False
        self.runtime.start(RunSteps(num_steps=steps, blocking=False))
        answer = self.runtime.service_to_runtime[0]
        reported = -1
        pause = POLL / 10
        while not answer.probe():
            self._raise_if_dead()
            now = done() if done is not None else 0
            if progress is not None and done is not None and now != reported:
                reported = now
                progress(now, steps)
            if end is not None and time.monotonic() > end:
                raise RunError(f"Lava had done {now} of {steps} timesteps after {timeout:g} s")
            time.sleep(pause)
            pause = min(2 * pause, POLL)
        if not enum_equal(answer.peek(), MGMT_RESPONSE.DONE):
            time.sleep(10 * POLL)  # the model that failed is about to say why
            self._raise_if_dead()
            raise RunError("a Lava process reported an error and did not say which")
        self.runtime.wait()
        self._ok = True
        if progress is not None:
            progress(steps, steps)

    def _raise_if_dead(self) -> None:
        infrastructure = self.runtime._messaging_infrastructure
        # Children are made in this order, the runtime services after the models.
        names = [f"{p.name} ({type(p).__name__})" for p in self.runtime._executable.proc_builders]
        for index, actor in enumerate(infrastructure.actors):
            name = names[index] if index < len(names) else "the runtime service"
            failure = actor.exception
            if failure is not None:
                error = failure[0]
                if isinstance(error, MLSNNError):
                    raise error
                raise RunError(f"the Lava process of {name} failed: {_one_line(error)}")
            if not actor.is_alive():
                code = actor.exitcode
                how = f"was killed by signal {-code}" if code and code < 0 else "ended early"
                raise RunError(f"the Lava process of {name} {how}")

    def stop(self) -> None:
        """End every child process and free what Lava keeps; safe to call twice."""
        runtime, self.runtime = self.runtime, None
        if runtime is None:
            return
        # Whatever happens below, no destructor may wait for children again.
        runtime._is_started = False
        infrastructure = runtime._messaging_infrastructure
        actors = list(infrastructure.actors) if infrastructure is not None else []
        with quiet():
            if self._ok:
                _ask_to_stop(runtime, actors)
            for actor in actors:
                _end(actor)
            runtime.join()
            if infrastructure is not None and infrastructure.smm is not None:
                _free_memory(infrastructure.smm)
            if runtime._watchdog_manager is not None:
                runtime._watchdog_manager.stop()
        self._ok = False
        self._forget()

    def _forget(self) -> None:
        """Lava's registry keeps every Process, with its weights, for ever."""
        from lava.magma.core.process.process import ProcessServer

        ours = {id(p) for p in self._processes}
        for process in self._processes:
            process._runtime = None
        server = ProcessServer()
        server.processes[:] = [p for p in server.processes if id(p) not in ours]
        self._processes = []


def _ask_to_stop(runtime: Any, actors: list[Any]) -> None:
    from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND

    end = time.monotonic() + GRACE
    for port in runtime.runtime_to_service:
        port.send(MGMT_COMMAND.STOP)
    while any(a.is_alive() for a in actors) and time.monotonic() < end:
        time.sleep(POLL / 2)


def _end(actor: Any) -> None:
    if actor._is_done:
        return
    if actor.is_alive():
        actor.terminate()
        multiprocessing.Process.join(actor, GRACE)
    if actor.is_alive():
        actor.kill()
    actor.join()


def _free_memory(manager: Any) -> None:
    blocks = list(manager._shared_memory_handles)
    manager.shutdown()
    for block in blocks:  # still there only if the manager's own process was killed
        with contextlib.suppress(FileNotFoundError):
            block.unlink()


def _with_parents(processes: list[Any]) -> list[Any]:
    found = {id(p): p for p in processes}
    for process in processes:
        while process.parent_proc is not None:
            process = process.parent_proc
            found[id(process)] = process
    return list(found.values())


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
