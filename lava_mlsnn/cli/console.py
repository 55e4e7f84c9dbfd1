"""What the commands share: output for people and for programs, progress, errors."""

from __future__ import annotations

import errno
import functools
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

import numpy as np
import typer

from lava_mlsnn.errors import MLSNNError

__all__ = ["Console", "Failed", "guarded", "plain", "run_app"]

DIFFERENT, WRONG, FAULT, STOPPED = 1, 2, 70, 130  # 70: EX_SOFTWARE of sysexits.h
WIDE = 400  # columns that a line may have before it is wrapped
QUIET = 5.0  # seconds without a line of progress where nobody watches
NARROW = 80  # columns that a table fits
GAP, EDGES = 2, 2  # between columns, and at the ends
UNWRITTEN = "the output cannot be written"
ELSEWHERE = "send it to a file or terminal that can be"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
F = TypeVar("F", bound=Callable[..., Any])


def plain(text: object) -> str:
    """Text for one line of a terminal: what is no visible character shows as its escape.

    Names come from files that others made. Control characters, escape sequences, marks that
    turn the direction of writing and bytes that are no text must not act on a terminal.
    """
    return "".join(
        c
        if c.isprintable() or unicodedata.category(c) == "Zs"
        else c.encode("unicode_escape").decode()
        for c in str(text)
    )


def complain(text: object) -> None:
    """The one line of an error."""
    print(plain(f"mlsnn: error: {text}"), file=sys.stderr)


class Failed(typer.Exit):
    """Ends a command that worked, with exit code 1: the check it made came out badly."""

    def __init__(self) -> None:
        super().__init__(DIFFERENT)


def guarded(command: F) -> F:
    """Turn every error and Ctrl-C into one line and an exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            print("mlsnn: stopped", file=sys.stderr)
            raise typer.Exit(STOPPED) from None
        except BrokenPipeError:  # `mlsnn info ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (Exception, SystemExit) as error:  # SystemExit: of a library
            if hasattr(error, "exit_code") or _is_unwritten(error):
                raise
            raise typer.Exit(_explain(error)) from None

    return run  # type: ignore[return-value]


def _is_unwritten(error: BaseException) -> bool:
    """Whether the output cannot be written."""
    return isinstance(error, OSError) and error.filename is None and error.errno in FULL


def _explain(error: BaseException) -> int:
    """Print one sentence; the exit code. What nobody foresaw is a fault of ours, not code 1."""
    if isinstance(error, MLSNNError):
        complain(error)
        return WRONG
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # torch: RuntimeError
        complain("the memory is not enough; take fewer samples at a time or a smaller network")
        return WRONG
    if isinstance(error, OSError) and error.filename is not None:
        complain(f"{os.fsdecode(error.filename)}: {error.strerror}")
        return WRONG
    try:
        handle, file = tempfile.mkstemp(prefix="mlsnn-fault-", suffix=".txt")
        with open(handle, "w", errors="backslashreplace") as out:
            print("mlsnn", *map(repr, sys.argv[1:]), file=out)
            traceback.print_exception(type(error), error, error.__traceback__, file=out)
        where = f"please report it with {file}, which says where"
    except OSError:
        where = "please report it with the command"
    said = str(error)[:300]
    complain(f"this is a fault of mlsnn and not yours ({type(error).__name__}: {said}); {where}")
    return FAULT


def run_app(app: Callable[..., Any]) -> NoReturn:
    """Run the command line; output that nobody can write is an error, one nobody reads is not."""
    if sys.stderr is None:  # 2>&-
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:  # >&-
        complain(f"{UNWRITTEN} (it is closed); {ELSEWHERE}")
        sys.exit(WRONG)
    streams = sys.stdout, sys.stderr
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.showwarning = _warn
    logging.getLogger("lava_mlsnn").addHandler(_Log())
    code: Any = 0
    failed: OSError | None = None
    try:
        code = app(standalone_mode=False)  # or it would show what it got as it is, and use code 1
    except SystemExit as end:
        code = end.code
        if sys.stdout is not streams[0]:  # typer's answer to a pipe that nobody reads
            code, (sys.stdout, sys.stderr) = 0, streams
    except Exception as error:
        if _is_unwritten(error):
            assert isinstance(error, OSError)
            failed = error
        else:
            code = _usage(error) if hasattr(error, "format_message") else _explain(error)
    for stream in streams:
        try:
            stream.flush()
        except OSError as error:
            failed = failed or error
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python flushes once more
    if failed is not None and not isinstance(failed, BrokenPipeError):
        code = WRONG
        with suppress(OSError):  # it may be standard error that is full
            complain(f"{UNWRITTEN} ({failed.strerror}); {ELSEWHERE}")
    sys.exit(code)


def _usage(error: Any) -> int:
    """An option that does not exist, say; the exit code."""
    shown = io.StringIO()
    error.show(shown)
    for line in shown.getvalue().splitlines():
        print(plain(line), file=sys.stderr)
    return int(error.exit_code)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    print(plain(f"mlsnn: warning: {message}"), file=sys.stderr)


class _Log(logging.Handler):
    """What our logger says, as a warning; twice the same, as of convert and export, once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self._said:
            self._said.add(text)
            _warn(text)


def _cell(value: Any) -> str:
    """A number in at most four digits that count, or text."""
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"
    return plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


class Console:
    """Readable text, or with ``as_json`` one JSON object on standard output.

    Progress goes to standard error, as a bar on a terminal and as few lines elsewhere.
    """

    def __init__(self, as_json: bool = False) -> None:
        from rich.console import Console as RichConsole

        class Rich(RichConsole):
            def on_broken_pipe(self) -> None:
                raise BrokenPipeError  # rich would end with 1, which means "integers differ"

        self.as_json = as_json
        # a terminal wraps lines, rich would cut numbers off
        text: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
        self.out = Rich(soft_wrap=True, width=WIDE, **text)
        self._wide_err = Rich(stderr=True, soft_wrap=True, width=WIDE, **text)
        self.err = Rich(stderr=True, soft_wrap=True, **text)

    def mute(self) -> None:
        """Say nothing more: another process tells."""
        self.as_json = False
        for stream in (self.out, self.err, self._wide_err):
            stream.quiet = True

    def say(self, *lines: object) -> None:
        """Lines for people: to standard error when a program reads the output."""
        for line in lines:
            (self.err if self.as_json else self.out).print(plain(line))

    def note(self, line: object) -> None:
        """A line about progress."""
        self.err.print(plain(line))

    def table(self, title: str, columns: list[str], rows: list[list[Any]]) -> None:
        """A table for people; numbers are right-aligned.

        One that is wider than the terminal goes on below, with its first column again.
        """
        from rich.cells import cell_len

        cells = [[_cell(value) for value in row] for row in rows]
        wide = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
        room = max(NARROW, shutil.get_terminal_size((NARROW, 24)).columns)
        parts: list[list[int]] = [[0]]
        for k in range(1, len(columns)):
            used = sum(wide[i] + GAP for i in parts[-1]) + wide[k] + EDGES
            if used > room and len(parts[-1]) > 1:
                parts.append([0])
            parts[-1].append(k)
        for number, part in enumerate(parts):
            self._part("" if number else title, part, columns, rows, cells)

    def _part(
        self,
        title: str,
        part: list[int],
        columns: list[str],
        rows: list[list[Any]],
        cells: list[list[str]],
    ) -> None:
        from rich import box
        from rich.table import Table

        table = Table(
            title=plain(title) or None, box=box.SIMPLE_HEAD, title_justify="left", show_edge=False,
            padding=(0, GAP - 1, 0, 0), pad_edge=False,
        )  # fmt: skip
        for k in part:
            number = bool(rows) and all(isinstance(r[k], int | float) for r in rows)
            table.add_column(plain(columns[k]), justify="right" if number else "left", no_wrap=True)
        for row in cells:
            table.add_row(*(row[k] for k in part))
        (self._wide_err if self.as_json else self.out).print(table)

    def result(self, values: dict[str, Any]) -> None:
        """The JSON object of ``--json``."""
        if self.as_json:
            print(json.dumps(values, indent=2, default=_plain, allow_nan=False))

    @contextmanager
    def progress(self, title: str, lines: bool = True) -> Iterator[Callable[[int, int], None]]:
        """Gives ``progress(done, total)`` for a piece of work.

        Off a terminal a line a quarter where that takes seconds, or with ``lines`` False nothing.
        """
        if not self.err.is_terminal:
            yield self._lines(title) if lines else lambda done, total: None
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.err,
            transient=True,
        )
        with bar:
            task = bar.add_task(plain(title), total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def _lines(self, title: str) -> Callable[[int, int], None]:
        shown, last = 0, time.monotonic()

        def follow(done: int, total: int) -> None:
            nonlocal shown, last
            quarter, now = 4 * done // max(1, total), time.monotonic()
            if quarter > shown and now - last > QUIET:
                shown, last = quarter, now
                self.note(f"{title}: {done} of {total}")

        return follow
