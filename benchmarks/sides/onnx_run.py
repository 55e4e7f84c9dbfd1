"""onnxruntime on the QDQ model; runs in its own environment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.sides.timing import batches, timed_batches
from netx_export.file.reader import read
from netx_export.interchange.int8 import Int8

__all__ = ["run"]


class Unlimited(Int8):
    """The usual model of a ReLU network: payloads up to 255, so that its outputs differ."""

    def limited(self, name: str, levels: int) -> str:
        """Nothing."""
        return name


def run(
    threads: int, spec: str, samples: str, count: int, batch: int, passes: int, limit: str
) -> dict:
    """Seconds per sample (batch 1: one call each), and the scores of all samples."""
    layers = {"clip": Int8, "none": Unlimited}[limit](read(Path(spec)))
    model = layers.write()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    x = np.load(samples)[:count]
    parts = [np.ascontiguousarray(x[s]) for s in batches(count, batch)]
    scores = np.concatenate([session.run(None, {name: part})[0] for part in parts])
    seconds = timed_batches(lambda part: session.run(None, {name: part}), parts, passes)
    return {"seconds": seconds, "in_float": layers.in_float, "arrays": {"output": scores}}
