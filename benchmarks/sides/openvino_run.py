"""OpenVINO on the same 8-bit model as onnxruntime; runs in its own environment."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import openvino

from benchmarks.sides.timing import batches, timed_batches
from netx_export.file.reader import read
from netx_export.interchange.int8 import Int8

__all__ = ["run"]


def run(threads: int, spec: str, samples: str, count: int, batch: int, passes: int) -> dict:
    """Seconds per sample (batch 1: one call each), and the scores of all samples.

    Compiled for each size of batch, with float32 where a layer is not 8 bits: half floats
    would round.
    """
    core = openvino.Core()
    x = np.load(samples)[:count]
    parts = [np.ascontiguousarray(x[s]) for s in batches(count, batch)]
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    requests = {}
    model = Int8(read(Path(spec))).write()
    for size in {len(part) for part in parts}:
        network = core.read_model(io.BytesIO(model))
        network.reshape([size, *x.shape[1:]])
        requests[size] = core.compile_model(network, "CPU", settings).create_infer_request()

    def call(part: np.ndarray) -> np.ndarray:
        result: np.ndarray = requests[len(part)].infer({0: part}, share_inputs=True)[0]
        return result

    scores = np.concatenate([call(part).copy() for part in parts])
    return {"seconds": timed_batches(call, parts, passes), "arrays": {"output": scores}}
