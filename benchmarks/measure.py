"""Sides, each in a process of its own, measured in turns: A B A B ..."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environments import python_of
from benchmarks.errors import SideError

__all__ = ["Result", "Side", "end", "quartiles", "run_side"]

ROOT = Path(__file__).resolve().parents[1]
GRACE = 5.0  # seconds between asking a worker to end and killing it
# Every library's own name for its threads; read when it is loaded, so set before.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Side:
    """One thing that is measured.

    Attributes
    ----------
    name : str
        Unique in its case, as the report shows it.
    target : str
        ``"module:function"``; called as ``function(threads=..., **arguments)`` it returns
        ``seconds`` (a list) and what else the case reads; ``arrays`` are its outputs.
    arguments : dict
        JSON-able.
    threads : int
        Set before the process starts.
    environment : str
        Key of :data:`benchmarks.environments.ENVIRONMENTS`.
    timeout : float
        Seconds until it is ended.
    """

    name: str
    target: str
    arguments: dict[str, Any] = field(default_factory=dict)
    threads: int = 2
    environment: str = "project"
    timeout: float = 900.0


@dataclass
class Result:
    """What the rounds of one side gave; ``failed`` says why there is nothing."""

    side: Side
    rounds: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)  # of the last round
    failed: str = ""

    @property
    def seconds(self) -> list[float]:
        """All times of all rounds."""
        return [value for r in self.rounds for value in r["seconds"]]

    @property
    def median(self) -> float:
        """Over all times of all rounds."""
        return float(np.median(self.seconds))

    def of_rounds(self) -> list[float]:
        """The median of each round."""
        return [float(np.median(r["seconds"])) for r in self.rounds]


def quartiles(values: Sequence[float]) -> list[float]:
    """Lower and upper quartile."""
    return [float(q) for q in np.percentile(values, (25, 75))]


def end(process: subprocess.Popen[Any]) -> None:
    """End a worker and all that it started: it leads a group of its own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _short(path: Path) -> Path:
    """Without the checkout's own folder, which is nobody's business in a report."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def run_side(side: Side, folder: Path, key: str, cores: int) -> dict[str, Any]:
    """Measure a side once.

    Parameters
    ----------
    side : Side
        What to measure.
    folder : Path
        Where job, result and arrays go.
    key : str
        Their file name without suffix.
    cores : int
        How many cores the worker may use.

    Raises
    ------
    SideError
        If its environment is missing, it fails, or time is up.
    """
    python = python_of(side.environment)
    files = {name: folder / f"{key}.{name}" for name in ("job", "result", "npz", "log")}
    for name in ("result", "npz"):
        files[name].unlink(missing_ok=True)
    job = {
        **asdict(side),
        "cores": cores,
        "parent": os.getpid(),
        "result": str(files["result"]),
        "arrays": str(files["npz"]),
    }
    files["job"].write_text(json.dumps(job))
    environment = {
        **os.environ,
        **dict.fromkeys(THREAD_VARIABLES, str(side.threads)),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with files["log"].open("w") as log:
        process = subprocess.Popen(
            [str(python), "-m", "benchmarks.worker", str(files["job"])],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(side.timeout)
        except subprocess.TimeoutExpired:
            raise SideError(f"it did not end within {side.timeout:g} s") from None
        finally:
            end(process)  # also what a finished worker has left
    if code != 0 or not files["result"].exists():
        lines = files["log"].read_text(errors="replace").strip().splitlines()
        last = lines[-1].strip() if lines else f"no words, exit code {code}"
        raise SideError(f"it failed with {last!r} (all of it is in {_short(files['log'])})")
    result: dict[str, Any] = json.loads(files["result"].read_text())
    if "failed" in result:
        raise SideError(result["failed"])
    for name in ("job", "log", "result"):
        files[name].unlink(missing_ok=True)
    return result
