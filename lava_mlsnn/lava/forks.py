"""What a process has only one of, and Lava uses while it starts and ends networks.

Lava adds handlers to the root logger, needs multiprocessing to fork, and is itself not
made for threads. So one thread at a time builds, starts or ends a network, and what that
changes is put back. A signal is not lost in a fork: it is handled when all are made.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import mmap
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

from lava_mlsnn.errors import RunError

__all__ = ["SharedMemory", "alone", "forking", "signals_later"]

LOCK = threading.RLock()


@contextlib.contextmanager
def alone(end: float | None = None) -> Iterator[None]:
    """No other thread uses Lava meanwhile; RunError if that cannot be until ``end``."""
    left = -1.0 if end is None else min(max(0.0, end - time.monotonic()), threading.TIMEOUT_MAX)
    if not LOCK.acquire(timeout=left):
        raise RunError("another thread was still starting a network in Lava when the time was up")
    try:
        with _handlers(), _start_method():
            yield
    finally:
        LOCK.release()


@contextlib.contextmanager
def _handlers() -> Iterator[None]:
    """Every Lava Process leaves a handler in the root logger, every compiler one in its own.

    Fifty Processes would print each later message of any library fifty times.
    """
    loggers = [logging.getLogger(), logging.getLogger("lava.magma.compiler.compiler")]
    before = [list(logger.handlers) for logger in loggers]
    try:
        yield
    finally:
        for logger, kept in zip(loggers, before, strict=True):
            for handler in set(logger.handlers).difference(kept):
                if logger is not loggers[0] or _is_lavas(handler):
                    logger.removeHandler(handler)


def _is_lavas(handler: logging.Handler) -> bool:
    """Not one that another thread added meanwhile."""
    module = sys.modules.get("lava.magma.core.process.process")
    if module is None or type(handler) is not logging.StreamHandler or handler.formatter is None:
        return False
    config = module.LogConfig
    return (handler.formatter._fmt, handler.formatter.datefmt) == (
        config.format,
        config.date_format,
    )


@contextlib.contextmanager
def _start_method() -> Iterator[None]:
    """Lava's Processes must be forked; what the user has chosen comes back."""
    chosen = multiprocessing.get_start_method(allow_none=True)
    try:
        if chosen not in (None, "fork"):
            # None: importing Lava sets it, which raises where one is set
            multiprocessing.set_start_method(None, force=True)
            if "lava.magma.runtime.message_infrastructure.multiprocessing" in sys.modules:
                multiprocessing.set_start_method("fork", force=True)
        yield
    finally:
        if chosen not in (None, "fork"):
            multiprocessing.set_start_method(chosen, force=True)


@contextlib.contextmanager
def signals_later() -> Iterator[None]:
    """Handlers written in Python run when this is over.

    An exception that a handler raises inside a hook of ``os.fork``, or in a destructor,
    is printed and dropped: a Ctrl-C would be lost. Handlers run in the main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, Any]] = []
    handlers: dict[int, Any] = {}
    try:
        for number in map(int, signal.valid_signals()):
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, lambda n, frame: came.append((n, frame)))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in came:
            handlers[number](number, frame)


class _Rules:
    """What a child that this thread forks does first, while switched on."""

    thread: int | None = None
    parent = 0
    mask: Any = None
    libc: ctypes.CDLL | None = None
    PR_SET_PDEATHSIG = 1
    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    @classmethod
    def in_child(cls) -> None:
        """Only the parent acts on Ctrl-C and a closed terminal, which reach the whole group.

        On Linux a child dies with its parent, so that even one that is killed leaves none
        behind. The kernel ties that to the thread that forked.
        """
        if cls.thread != threading.get_ident():
            return
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, cls.mask)
        if cls.libc is not None:
            cls.libc.prctl(cls.PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != cls.parent:  # it died before
                os._exit(1)
        sys.stdout = io.StringIO()  # standard output belongs to the parent
        warnings.simplefilter("ignore")


os.register_at_fork(after_in_child=_Rules.in_child)


@contextlib.contextmanager
def forking() -> Iterator[None]:
    """Processes that this thread forks inside are Lava's; to be used under :func:`alone`."""
    with signals_later():
        _Rules.libc = ctypes.CDLL(None) if sys.platform == "linux" else None
        _Rules.parent = os.getpid()
        # a child must not act on a signal before it knows that it is one
        _Rules.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _Rules.SIGNALS)
        _Rules.thread = threading.get_ident()
        try:
            yield
        finally:
            _Rules.thread = None
            signal.pthread_sigmask(signal.SIG_SETMASK, _Rules.mask)


class SharedMemory:
    """Gives Lava's channels memory that forked processes share and that has no name.

    In place of Lava's manager, a process of its own that names every block: here nothing is
    left when all processes are killed, and nobody has to clean up. It ends with its last user.
    """

    class Block:
        """Memory of ``size`` bytes, zero at first."""

        def __init__(self, size: int) -> None:
            self.buf = memoryview(mmap.mmap(-1, size))

    def create_shared_memory(self, size: int) -> Block:
        """A block; what Lava's channels ask for."""
        return self.Block(size)

    def shutdown(self) -> None:
        """Nothing to do."""
