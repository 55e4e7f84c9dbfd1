"""What a training leaves beside its checkpoint, to be watched: log, best network, curve.

========================  =======================================================
``log.jsonl``             a JSON object an epoch, :meth:`EpochReport.to_dict`
``best.pt``               the checkpoint of the best validation accuracy so far
``curve.png``             the log as a picture
``tensorboard/``          the same for TensorBoard, where it is installed
========================  =======================================================

A line is on the disk before the checkpoint of its epoch: what the checkpoint has, the log
has. What is beyond the checkpoint when a training goes on (the process was killed between
the two, or in the middle of a line) is cut off, and trained and written again.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lava_mlsnn.errors import ConfigError, FormatError, said
from lava_mlsnn.training.config import EpochReport
from lava_mlsnn.training.curve import draw_curve
from netx_export.file.atomic import write_atomic

__all__ = ["BEST", "CURVE", "LOG", "LogWarning", "TrainingLog", "best_of", "read_log"]

LOG, BEST, CURVE, BOARD = "log.jsonl", "best.pt", "curve.png", "tensorboard"
SHARE = 50  # a picture is drawn anew where it took less than a 50th of the time since the last


class LogWarning(UserWarning):
    """A log lacks epochs of its training."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """The epochs of a ``log.jsonl``, in order; a last line that is not whole is left out.

    Raises
    ------
    FormatError
        If another line is none of a log.
    """
    lines = path.read_bytes().split(b"\n")
    whole = lines[:-1] if lines else []  # what stands behind the last line break is not whole
    records: list[dict[str, Any]] = []
    for number, line in enumerate(whole, 1):
        try:
            record = json.loads(line)
            epoch = record["epoch"]
        except (ValueError, TypeError, KeyError):
            if number == len(whole):  # a disk that lost its power
                break
            epoch = None
        if not isinstance(epoch, int) or (records and epoch <= records[-1]["epoch"]):
            raise FormatError(
                f"line {number} is no later epoch of a training's log; move the file away to go "
                "on without the lines in it",
                str(path),
            )
        records.append(record)
    return records


def best_of(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The epoch of the best validation accuracy, of equal ones the last; None: not measured."""
    measured = [r for r in records if r.get("validation_accuracy") is not None]
    return max(measured, key=lambda r: (r["validation_accuracy"], r["epoch"]), default=None)


class TrainingLog:
    """Writes the files above; one object a training.

    Parameters
    ----------
    checkpoint : Path or None
        Of the training; the files lie beside it.
    done : int
        Epochs that the checkpoint has; 0 starts anew.

    Raises
    ------
    ConfigError
        If there is no checkpoint to lie beside.
    FormatError
        If there is a file of that name that is no log.
    """

    def __init__(self, checkpoint: Path | None, done: int) -> None:
        if checkpoint is None:
            raise ConfigError("a log lies beside the checkpoint; name one")
        self.checkpoint, folder = checkpoint, checkpoint.parent
        self.path, self.best, self.curve = (folder / name for name in (LOG, BEST, CURVE))
        there = read_log(self.path) if done and self.path.exists() else []
        self.records = [r for r in there if r["epoch"] <= done]
        known = self.records[-1]["epoch"] if self.records else 0
        if known < done:
            warnings.warn(
                f"{self.path} lacks the epochs {known + 1} to {done} of {checkpoint.name}: they "
                "were trained without a log, or it was taken away",
                LogWarning,
                stacklevel=4,
            )
        write_atomic(self.path, b"".join(map(_line, self.records)))
        if not done:
            self.best.unlink(missing_ok=True)
        elif known == done:
            self._keep_best()
        self._drawn, self._cost = time.perf_counter(), 1.0
        self._board = _board(folder / BOARD, done)

    def append(self, report: EpochReport) -> None:
        """The line of an epoch; before its checkpoint is written."""
        record = report.to_dict()
        self.records.append(record)
        try:
            with open(self.path, "ab") as file:
                file.write(_line(record))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigError(
                f"the log cannot be written ({error.strerror}); make room, and go on with resume",
                str(self.path),
            ) from None
        if self._board is not None:
            for name, value in _scalars(record):
                self._board.add_scalar(name, value, report.epoch)
            self._board.flush()

    def checkpointed(self, last: bool) -> None:
        """What follows from the line; after the checkpoint was written."""
        self._keep_best()
        start = time.perf_counter()
        if last or start - self._drawn > SHARE * self._cost:
            write_atomic(self.curve, draw_curve(self.records))
            self._drawn = time.perf_counter()
            self._cost = self._drawn - start

    def close(self) -> None:
        """End the writer for TensorBoard."""
        if self._board is not None:
            self._board.close()

    def _keep_best(self) -> None:
        """Copy the checkpoint if it is the best one, and not copied yet."""
        best = best_of(self.records)
        if best is None or best["epoch"] != self.records[-1]["epoch"]:
            return
        content = self.checkpoint.read_bytes()
        if not self.best.exists() or self.best.read_bytes() != content:
            write_atomic(self.best, content)


def _line(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, allow_nan=False) + "\n").encode()


def _scalars(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Names and values for TensorBoard."""
    for name, value in record.items():
        if isinstance(value, int | float) and name != "epoch":
            yield name, value
    for layer, values in record["layers"].items():
        for name in ("events", "saturated", "dead"):
            yield f"{name}/{layer}", values[name]


def _board(folder: Path, done: int) -> Any:
    """A writer for TensorBoard; None where it is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    try:
        from torch.utils import tensorboard
    except ImportError as error:  # of one of the packages that it needs
        why = f"TensorBoard gets nothing: it cannot be loaded ({said(error)})"
        warnings.warn(why, LogWarning, 5)
        return None
    return tensorboard.SummaryWriter(  # type: ignore[attr-defined, no-untyped-call]
        str(folder), purge_step=done + 1
    )
