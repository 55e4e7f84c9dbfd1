"""One sample in onnxruntime, where that is installed: its 8-bit model of the same integers."""

from __future__ import annotations

import ctypes
import os
from importlib.util import find_spec
from typing import Any
from weakref import WeakSet

import numpy as np
import torch

from lava_mlsnn.engine.whole import Call
from netx_export.interchange.graph import need
from netx_export.interchange.int8 import Int8
from netx_export.spec import NetworkSpec

__all__ = ["session"]

_sessions: WeakSet[Any] = WeakSet()


def _keep() -> None:
    """In a forked process they never end: they would wait for threads of the parent."""
    for made in _sessions:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep)


def session(spec: NetworkSpec) -> Call | None:
    """A function from samples (B, *shape) to outputs (B, *shape); None without onnxruntime.

    Parameters
    ----------
    spec : NetworkSpec
        T = 1, and no layer can leave 24 bits.
    """
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        return None
    onnxruntime = need("onnxruntime")

    model = Int8(spec)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    made = onnxruntime.InferenceSession(model.write(), options, providers=["CPUExecutionProvider"])
    _sessions.add(made)
    entry, exit_ = made.get_inputs()[0], made.get_outputs()[0]
    kind = np.uint8 if entry.type == "tensor(uint8)" else np.int32

    def call(x: np.ndarray) -> tuple[np.ndarray]:
        return (made.run([exit_.name], {entry.name: x.astype(kind, copy=False)})[0],)

    return call
