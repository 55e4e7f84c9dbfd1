"""One sample in onnxruntime, where that is installed: its 8-bit model of the same integers."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch

from lava_mlsnn.engine.whole import Call
from netx_export.interchange.int8 import Int8
from netx_export.interchange.session import open_session
from netx_export.spec import NetworkSpec

__all__ = ["session"]


def session(spec: NetworkSpec) -> Call | None:
    """A function from samples (B, *shape) to outputs (B, *shape); None without onnxruntime.

    Parameters
    ----------
    spec : NetworkSpec
        T = 1, and no layer can leave 24 bits.
    """
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        return None
    made = open_session(Int8(spec).write(), torch.get_num_threads())
    entry, exit_ = made.get_inputs()[0], made.get_outputs()[0]
    kind = np.uint8 if entry.type == "tensor(uint8)" else np.int32

    def call(x: np.ndarray) -> tuple[np.ndarray]:
        return (made.run([exit_.name], {entry.name: x.astype(kind, copy=False)})[0],)

    return call
