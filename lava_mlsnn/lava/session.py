"""One run of Lava Processes that cannot hang and leaves nothing behind.

How Lava 0.10 reports a failure, found by experiment: a ProcessModel that raises
tells its runtime service and ends; the service then waits for the answers of
models which themselves wait for the dead one, so a blocking ``run()`` and
``stop()`` never return. A model that is killed tells nobody. Therefore the run is
started without blocking and the child processes are watched from here; on a
failure they are ended instead of asked.
"""

from __future__ import annotations

import multiprocessing
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from lava_mlsnn.checks import lava_available, need_lava
from lava_mlsnn.errors import MLSNNError, RunError, said
from lava_mlsnn.lava.forks import SharedMemory, alone, forking, signals_later

__all__ = ["LavaSession", "lava_available", "require_lava"]

T = TypeVar("T")
POLL = 0.01  # seconds between two looks at the children
GRACE = 2.0  # seconds that children get to end on their own


def require_lava() -> None:
    """Make Lava importable, or raise MissingError that says what it needs."""
    need_lava("the Lava simulator")
    # Lava sets the start method to fork when imported, which raises once another
    # library (a data loader, say) has used multiprocessing.
    if "lava.magma.runtime.message_infrastructure.multiprocessing" not in sys.modules:
        multiprocessing.set_start_method(None, force=True)


class TimeUpError(RunError):
    """Lava had not started when the time was up."""


class LavaSession:
    """Compiles and starts connected Processes; a context manager that always ends them.

    Parameters
    ----------
    process : AbstractProcess
        Any Process of the connected network.
    run_cfg : RunConfig
        Selects the ProcessModels.
    timeout : float, optional
        Seconds that compiling and starting may take.
    """

    def __init__(self, process: Any, run_cfg: Any, timeout: float | None = None) -> None:
        self.process = process
        self.run_cfg = run_cfg
        self.timeout = timeout
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

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._ok = False  # whoever did not come to an end is not asked
        self.stop()

    def _start(self) -> None:
        end = None if self.timeout is None else time.monotonic() + self.timeout
        try:
            with alone(end):
                from lava.magma.core.process.message_interface_enum import ActorType
                from lava.magma.runtime.runtime import Runtime

                executable = self.process.compile(self.run_cfg)
                self._in_time(end)
                self._processes = _with_parents([*executable.proc_builders, self.process])
                self.runtime = Runtime(executable, ActorType.MultiProcessing)
                executable.assign_runtime_to_all_processes(self.runtime)
                self.process._runtime = self.runtime
                with forking():
                    _build(self.runtime)
                self._wait_for_start(self.runtime, end)
        except MLSNNError:
            raise
        except Exception as error:
            raise RunError(f"Lava could not start the network: {_one_line(error)}") from error
        self._ok = True

    def _wait_for_start(self, runtime: Any, end: float | None) -> None:
        """The end of ``Runtime.initialize``, with one change: it watches while it waits.

        The original waits without end for a child that was killed while starting,
        and prints the traceback of one that raised.
        """
        runtime._start_ports()
        for answers in runtime.exception_q:
            while True:
                try:
                    error = answers.get(timeout=10 * POLL)
                    break
                except queue.Empty:
                    self._raise_if_dead()
                    self._in_time(end)
            if error is not None:
                raise error
        del runtime.exception_q
        runtime._is_initialized = True

    def _in_time(self, end: float | None) -> None:
        if end is not None and time.monotonic() > end:
            raise TimeUpError(f"Lava had not started after {self.timeout:g} s")

    def run(
        self,
        steps: int,
        *,
        done: Callable[[], int] | None = None,
        progress: Callable[[int, int], None] | None = None,
        timeout: float | None = None,
        end: float | None = None,
    ) -> None:
        """Run ``steps`` timesteps; RunError if a child dies or time is up.

        ``done`` tells how many timesteps are over; each change goes to
        ``progress(done, steps)``. ``end`` is when the time is up, by the monotonic
        clock, where the ``timeout`` began before this run.
        """
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal

        if timeout is not None and end is None:
            end = time.monotonic() + timeout
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

    def ask(self, question: Callable[[], T], end: float | None = None) -> T:
        """What ``question()`` gives, which waits for children, such as ``Var.get()``.

        RunError if one of them dies meanwhile, or at ``end``: Lava would wait for ever.
        """
        answer: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def listen() -> None:
            try:
                answer.put((question(), None))
            except BaseException as error:
                answer.put((None, error))

        threading.Thread(target=listen, daemon=True).start()
        while True:
            try:
                value, error = answer.get(timeout=10 * POLL)
                break
            except queue.Empty:
                self._raise_if_dead()
                if end is not None and time.monotonic() > end:
                    raise RunError(
                        "Lava did not say how a value stands until the time was up"
                    ) from None
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

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
        with signals_later():
            if self._ok:
                _ask_to_stop(runtime, actors)
            _end(actors)
            runtime.join()
            if runtime._watchdog_manager is not None:
                runtime._watchdog_manager.stop()
            self._ok = False
            with alone():
                self._forget()

    def _forget(self) -> None:
        """Lava's registries keep every Process and Var, with weights and samples, for ever."""
        from lava.magma.core.process.process import ProcessServer
        from lava.magma.core.process.variable import VarServer

        ours = {id(p) for p in self._processes}
        for process in self._processes:
            process._runtime = None
        processes, variables = ProcessServer().processes, VarServer().vars
        processes[:] = [p for p in processes if id(p) not in ours]
        variables[:] = [v for v in variables if id(v.process) not in ours]
        self._processes = []


def _build(runtime: Any) -> None:
    """The start of ``Runtime.initialize``, with memory that has no name."""
    from lava.magma.runtime.message_infrastructure.multiprocessing import MultiProcessing

    runtime._build_watchdog_manager()
    runtime._messaging_infrastructure = MultiProcessing()
    runtime._messaging_infrastructure._smm = SharedMemory()
    runtime._build_channels()
    runtime._build_sync_channels()
    runtime._build_processes()
    runtime._build_runtime_services()
    for actor in runtime._messaging_infrastructure.actors:
        # multiprocessing waits at exit for children that it does not take for daemons
        actor._config["daemon"] = True


def _ask_to_stop(runtime: Any, actors: list[Any]) -> None:
    from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND

    end = time.monotonic() + GRACE
    for port in runtime.runtime_to_service:
        port.send(MGMT_COMMAND.STOP)
    while any(a.is_alive() for a in actors) and time.monotonic() < end:
        time.sleep(POLL / 2)


def _end(actors: list[Any]) -> None:
    """End the children; what one of them may still have to say is not read."""
    left = [actor for actor in actors if not actor._is_done]
    for actor in left:
        actor.kill()
    for actor in left:
        multiprocessing.Process.join(actor)
        multiprocessing.Process.close(actor)
        actor._cconn.close()
        actor._pconn.close()
        actor._is_done = True


def _with_parents(processes: list[Any]) -> list[Any]:
    found = {id(p): p for p in processes}
    for process in processes:
        while process.parent_proc is not None:
            process = process.parent_proc
            found[id(process)] = process
    return list(found.values())


def _one_line(error: BaseException) -> str:
    name, text = type(error).__name__, said(error, 2000)
    return name if text == name else f"{name}: {text}"
