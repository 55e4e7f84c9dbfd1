"""What the commands share: output for people and for programs, progress, errors."""

from __future__ import annotations

import errno
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

import numpy as np
import typer

from lava_mlsnn.errors import MLSNNError

__all__ = ["Console", "Failed", "guarded", "run_app"]

DIFFERENT, WRONG, STOPPED = 1, 2, 130
WIDE = 400  # columns that a table may have
UNWRITTEN = "mlsnn: error: the output cannot be written"
ELSEWHERE = "send it to a file or terminal that can be"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
F = TypeVar("F", bound=Callable[..., Any])


class Failed(typer.Exit):
    """Ends a command that worked, with exit code 1: the check it made came out badly."""

    def __init__(self) -> None:
        super().__init__(DIFFERENT)


def guarded(command: F) -> F:
    """Turn project errors and Ctrl-C into one line and an exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except MLSNNError as error:
            print(f"mlsnn: error: {error}", file=sys.stderr)
            raise typer.Exit(WRONG) from None
        except KeyboardInterrupt:
            print("mlsnn: stopped", file=sys.stderr)
            raise typer.Exit(STOPPED) from None
        except BrokenPipeError:  # `mlsnn info ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None

    return run  # type: ignore[return-value]


def run_app(app: Callable[[], Any]) -> NoReturn:
    """Run the command line; output that nobody can write is an error, one nobody reads is not."""
    if sys.stderr is None:  # 2>&-
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:  # >&-
        print(f"{UNWRITTEN} (it is closed); {ELSEWHERE}", file=sys.stderr)
        sys.exit(WRONG)
    streams = sys.stdout, sys.stderr
    code: Any = 0
    failed: OSError | None = None
    try:
        app()
    except SystemExit as end:
        code = end.code
        if sys.stdout is not streams[0]:  # typer's answer to a pipe that nobody reads
            code, (sys.stdout, sys.stderr) = 0, streams
    except OSError as error:
        if error.filename is not None or error.errno not in FULL:
            raise
        failed = error
    for stream in streams:
        try:
            stream.flush()
        except OSError as error:
            failed = failed or error
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python flushes once more
    if failed is not None and not isinstance(failed, BrokenPipeError):
        code = WRONG
        with suppress(OSError):  # it may be standard error that is full
            print(f"{UNWRITTEN} ({failed.strerror}); {ELSEWHERE}", file=sys.stderr)
    sys.exit(code)


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
        # tables are as wide as they need: a terminal wraps lines, rich would cut numbers off
        self.out = Rich(highlight=False, soft_wrap=True, width=WIDE)
        self._wide_err = Rich(stderr=True, highlight=False, soft_wrap=True, width=WIDE)
        self.err = Rich(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line for people: to standard error when a program reads the output."""
        (self.err if self.as_json else self.out).print(text, markup=False)

    def table(self, title: str, columns: list[str], rows: list[list[Any]]) -> None:
        """A table for people; numbers are right-aligned."""
        from rich import box
        from rich.table import Table

        table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
        for index, name in enumerate(columns):
            number = bool(rows) and all(isinstance(r[index], int | float) for r in rows)
            table.add_column(name, justify="right" if number else "left", no_wrap=True)
        for row in rows:
            table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row))
        (self._wide_err if self.as_json else self.out).print(table)

    def result(self, values: dict[str, Any]) -> None:
        """The JSON object of ``--json``."""
        if self.as_json:
            print(json.dumps(values, indent=2, default=_plain, allow_nan=False))

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """Gives ``progress(done, total)`` for a piece of work."""
        if not self.err.is_terminal:
            yield self._lines(title)
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.err,
            transient=True,
        )
        with bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def _lines(self, title: str) -> Callable[[int, int], None]:
        shown = -1

        def follow(done: int, total: int) -> None:
            nonlocal shown
            quarter = 4 * done // max(1, total)
            if quarter > shown:
                shown = quarter
                self.err.print(f"{title}: {done} of {total}", markup=False)

        return follow
