"""Records of finished trials: read with suspicion, since reports are built from them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lava_mlsnn.data import Dataset
from lava_mlsnn.errors import FormatError
from lava_mlsnn.reproduce.trial import Trial

__all__ = ["MACHINES", "NETWORK", "PAYLOADS", "RECORD", "fingerprint", "finished", "network_of"]

NETWORK, RECORD = "network.net", "record.json"
PAYLOADS = ("mac", "small", "adds", "burst")
MACHINES = (*(f"snn-{name}" for name in PAYLOADS), "ann", "zero-skip")
COUNTS = ("into_synapses", "block_outputs", "all", "operations")
NUMBERS = (
    "accuracy.float",
    "activity.events_per_neuron_and_timestep",
    "training_seconds",
    "samples",
    "parameters",
    *(f"activity.{name}.{what}" for name in COUNTS for what in ("events", "payload")),
    *(f"energy_nj.{name}" for name in MACHINES),
)
TEXTS = ("data", "data_sha256", "commit", "date", "network.sha256")


def finished(trial: Trial, work: Path) -> dict[str, Any] | None:
    """The record of a trial that was run before, or None.

    Raises
    ------
    FormatError
        If the record cannot be read, or is not what :func:`run_trial` writes for this
        trial.
    """
    path = work / trial.key / RECORD
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise _damaged(path, str(reason)) from None
    for name, text in (("key", trial.key), ("seed", trial.recipe.seed)):
        if _at(record, name) != text:
            raise _damaged(path, f"{name} must be {text!r}, got {_at(record, name)!r}")
    for name in NUMBERS:
        value = _at(record, name)
        if not _number(value) or value < 0:
            raise _damaged(path, f"{name} must be a number, got {str(value)[:40]!r}")
    for name in ("accuracy.integer", "accuracy.float"):
        value = _at(record, name)
        if not _number(value) or not 0 <= value <= 1:
            raise _damaged(path, f"{name} must lie in 0..1, got {str(value)[:40]!r}")
    for name in TEXTS:
        if not isinstance(_at(record, name), str):
            raise _damaged(path, f"{name} must be text")
    blocks = _at(record, "activity.blocks")
    if not isinstance(blocks, list) or not all(
        _number(_at(b, "density")) and isinstance(_at(b, "stage"), int) for b in blocks
    ):
        raise _damaged(path, "activity.blocks must be a list of blocks")
    found: dict[str, Any] = record
    return found


def _damaged(path: Path, reason: str) -> FormatError:
    return FormatError(
        f"a record must be what this command wrote, but {reason}; delete the file and run again",
        str(path),
    )


def _at(record: Any, path: str) -> Any:
    for part in path.split("."):
        record = record.get(part) if isinstance(record, Mapping) else None
    return record


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def network_of(trial: Trial, record: Mapping[str, Any], work: Path) -> bytes:
    """The exported network of a record; FormatError if it is not the one that was measured."""
    path = work / trial.key / NETWORK
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(
            f"the network of a finished trial cannot be read ({error.strerror}); delete the folder "
            "and run again",
            str(path),
        ) from None
    if hashlib.sha256(content).hexdigest() != record["network"]["sha256"]:
        raise FormatError(
            "the network is not the one that its record was made with; delete the folder and run "
            "again",
            str(path),
        )
    return content


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of the test split and the training labels: tells other files of one name."""
    digest = hashlib.sha256()
    for part in (dataset.x_test, dataset.y_test, dataset.y_train):
        digest.update(str(part.shape).encode())
        digest.update(part.tobytes())
    return digest.hexdigest()
