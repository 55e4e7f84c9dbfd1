"""A network as its ONNX model, in onnxruntime."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from lava_mlsnn.checks import check_threads, check_whole
from lava_mlsnn.errors import RunError, said
from lava_mlsnn.trace import Trace
from netx_export.interchange.graph import need
from netx_export.interchange.onnx import MOST_TIMESTEPS, onnx_model
from netx_export.interchange.session import open_session
from netx_export.spec import NetworkSpec
from netx_export.spec.encode import as_array, check_payload, check_shape

__all__ = ["run_onnx"]


def run_onnx(
    spec: NetworkSpec,
    x: np.ndarray,
    layers: Sequence[str] | None = None,
    *,
    batch_size: int = 64,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Trace]:
    """Payloads of the output and of ``layers`` (None: all that have neurons), batch by batch.

    Parameters
    ----------
    spec : NetworkSpec
        What :func:`netx_export.interchange.onnx.export_onnx` writes.
    x : ndarray of int
        Payloads (N, C, H, W) or (N, F), shown in every timestep, or with a last axis T.
    batch_size : int
        Samples at a time.
    threads : int
        Of onnxruntime; 0: its own number.
    progress : callable, optional
        ``progress(done, total)`` after every batch.

    Raises
    ------
    RunError
        If onnxruntime fails.
    """
    batch_size = check_whole("batch_size", batch_size, 1, 1 << 31)
    threads = check_threads(threads)
    x = as_array(x)
    timed = check_shape(spec.input, x)
    names = [p.name for _, p in spec.populations] if layers is None else list(layers)
    one = spec.timesteps > MOST_TIMESTEPS  # of which each is run by itself
    model = onnx_model(spec, layers=names, timed=timed and not one, state=one)
    need("onnxruntime")  # what is missing is said in its own words
    with _ours():
        session = open_session(model, threads)
    outputs = [value.name for value in session.get_outputs()]
    states = json.loads(session.get_modelmeta().custom_metadata_map.get("states", "{}"))

    def in_turn(payload: np.ndarray) -> list[np.ndarray]:
        """The outputs over all timesteps, from a model of one."""
        shapes = {value.name: value.shape[1:] for value in session.get_inputs()}
        feeds = {name: np.zeros((len(payload), *shapes[name]), np.int32) for name in states}
        steps = []
        for t in range(spec.timesteps):
            feeds[spec.input.name] = payload[..., t if timed else 0]
            steps.append(dict(zip(outputs, session.run(outputs, feeds), strict=True)))
            feeds |= {name: steps[-1].pop(after) for name, after in states.items()}
        return [np.stack([step[name] for step in steps], -1) for name in steps[0]]

    def traces() -> Iterator[Trace]:
        for start in range(0, len(x), batch_size):
            part = check_payload(spec, x[start : start + batch_size])
            payload = part if timed and spec.timesteps > 1 else part[..., 0]
            with _ours():
                if one:
                    arrays = in_turn(part.astype(np.int32))
                else:
                    arrays = session.run(outputs, {spec.input.name: payload.astype(np.int32)})
            found = {
                name: (z if one or spec.timesteps > 1 else z[..., None]).astype(np.int64)
                for name, z in zip(outputs, arrays, strict=False)  # states come last
            }
            yield Trace(found[spec.output.name], {name: found[name] for name in names})
            if progress is not None:
                progress(start + len(part), len(x))

    return traces()


@contextmanager
def _ours() -> Iterator[None]:
    """What onnxruntime raises, plain Exceptions, as one of our errors."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise RunError(f"onnxruntime could not run the network ({said(error)})") from None
