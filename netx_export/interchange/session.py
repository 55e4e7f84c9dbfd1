"""A session of onnxruntime, as every engine here opens one."""

from __future__ import annotations

import ctypes
import os
from typing import Any
from weakref import WeakSet

from netx_export.interchange.graph import need

__all__ = ["open_session"]

_sessions: WeakSet[Any] = WeakSet()


def _keep() -> None:
    """In a forked process they never end: they would wait for threads of the parent."""
    for made in _sessions:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep)


def open_session(model: bytes, threads: int) -> Any:
    """An ``InferenceSession`` on the CPU that logs errors alone; 0 threads: its own number."""
    onnxruntime = need("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    _sessions.add(session)
    return session
