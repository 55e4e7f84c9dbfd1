"""A stop from outside, at any moment: Ctrl-C, SIGTERM, a closed terminal.

An exception would be lost in a destructor, a hook or a library that catches everything, would
show as a traceback from the middle of an import, and would wait for a long call to return. So
nothing is unwound. Files are whole at any moment; children are ended, what is being written is
removed, and the process ends with 128 + the signal's number.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from contextlib import suppress

__all__ = ["install"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LATE = 2.0  # seconds that the main thread gets to leave a call into a library
_owner = 0
_said = False


def install() -> None:
    """Act on the signals from now on; one that is ignored (``nohup``) stays ignored."""
    global _owner
    if _owner == os.getpid() or threading.current_thread() is not threading.main_thread():
        return
    _owner = os.getpid()
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(read,), daemon=True).start()
    atexit.register(_settle)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: _end(number, main=True))


def _settle() -> None:
    """The command is over and its exit code stands: only the interpreter is left to end."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _watch(read: int) -> None:
    """The main thread runs handlers between two instructions only; end without it if need be."""
    while True:
        number = os.read(read, 1)[0]
        if number in SIGNALS and signal.getsignal(number) is not signal.SIG_IGN:
            time.sleep(LATE)
            _end(number, main=False)


def _end(number: int, main: bool) -> None:
    global _said
    if os.getpid() != _owner:  # a child that has not heard yet that it is one
        os._exit(128 + number)
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        with suppress(Exception):
            children = multiprocessing.active_children()
            for child in children:
                child.kill()
            for child in children:
                multiprocessing.Process.join(child, 1)
    atomic = sys.modules.get("netx_export.file.atomic")
    if atomic is not None:
        with suppress(Exception):
            atomic.discard_temporaries()
    if main:
        with suppress(Exception):
            sys.stdout.flush()
        with suppress(BaseException):
            atexit._run_exitfuncs()
    if not _said:
        _said = True
        bar = "\r\x1b[K\x1b[?25h" if os.isatty(2) else ""  # a bar hides the cursor
        with suppress(OSError):
            os.write(2, f"{bar}mlsnn: stopped\n".encode())
    os._exit(128 + number)
