"""What computes a network: one row each, for the command line, activity and parity.

A row needs a function ``spec, x, layers -> Traces`` and the options that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lava_mlsnn.checks import meant, shown
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.trace import Trace
from netx_export.spec import NetworkSpec

__all__ = ["BACKENDS", "Backend", "backend_of", "check_dropped", "traces_of"]

Layers = Sequence[str] | None


@dataclass(frozen=True)
class Backend:
    """A way to compute a network's integers.

    Attributes
    ----------
    name : str
        On the command line.
    words : str
        In progress and reports.
    run : callable
        ``run(spec, x, layers, **options)`` yields :class:`Trace` in the order of the
        samples; ``layers`` None: all that have neurons.
    options : tuple of str
        Names that ``run`` takes.
    traces : bool
        Whether it gives the payloads of every layer, or the output alone.
    """

    name: str
    words: str
    run: Callable[..., Iterator[Trace]]
    options: tuple[str, ...] = ()
    traces: bool = True


def _runner(
    spec: NetworkSpec,
    x: np.ndarray,
    layers: Layers,
    *,
    kind: str = "auto",
    on_overflow: str = "raise",
    threads: int = 0,
    **options: Any,
) -> Iterator[Trace]:
    from lava_mlsnn.runner import IntegerRunner

    runner = IntegerRunner(spec, on_overflow, threads=threads, kind=kind)
    names = None if layers is None else tuple(layers)
    return runner.iter_traces(x, names, **options)


def _reference(spec: NetworkSpec, x: np.ndarray, layers: Layers, **options: Any) -> Iterator[Trace]:
    return _runner(spec, x, layers, kind="reference", **options)


def _onnx(spec: NetworkSpec, x: np.ndarray, layers: Layers, **options: Any) -> Iterator[Trace]:
    from lava_mlsnn.onnx_run import run_onnx

    return run_onnx(spec, x, layers, **options)


def _lava(spec: NetworkSpec, x: np.ndarray, layers: Layers, **options: Any) -> Iterator[Trace]:
    from lava_mlsnn.lava.run import run_lava

    yield run_lava(spec, x, probes=True if layers is None else list(layers), **options)


def _loihi2(spec: NetworkSpec, x: np.ndarray, layers: Layers, **options: Any) -> Iterator[Trace]:
    from lava_mlsnn.lava.chip import run_loihi2

    yield run_loihi2(spec, x, **options)


RUNS = ("batch_size", "progress", "threads", "on_overflow")
BACKENDS = {
    row.name: row
    for row in (
        Backend("runner", "the runner", _runner, RUNS),
        Backend("reference", "the 64-bit reference", _reference, RUNS),
        Backend("onnx", "onnxruntime", _onnx, ("batch_size", "progress", "threads")),
        Backend(
            "lava",
            "Lava",
            _lava,
            ("tag", "per_layer", "progress", "timeout", "spike_exp", "reset_interval"),
        ),
        Backend(
            "loihi2",
            "Loihi 2",
            _loihi2,
            ("partition", "board", "host", "generation", "ucode", "progress", "timeout"),
            traces=False,
        ),
    )
}


def backend_of(name: Any) -> Backend:
    """The row of a name; ConfigError lists the names."""
    if not isinstance(name, str) or name not in BACKENDS:
        close = meant(name, BACKENDS)
        known = ", ".join(BACKENDS)
        raise ConfigError(f"backend must be one of {known}, got {shown(name)}{close}")
    return BACKENDS[name]


def check_dropped(name: Any, given: Iterable[str]) -> None:
    """ConfigError for options that the backend of that name does not take."""
    row = backend_of(name)
    unknown = [option for option in given if option not in row.options]
    if unknown:
        raise ConfigError(
            f"the backend {name} has no option {', '.join(unknown)}; it has "
            f"{', '.join(row.options) or 'none'}"
        )


def traces_of(
    name: str, spec: NetworkSpec, x: np.ndarray, layers: Layers = None, /, **options: Any
) -> Iterator[Trace]:
    """Run samples on a backend.

    Parameters
    ----------
    name : str
        A row of :data:`BACKENDS`.
    spec : NetworkSpec
        The network.
    x : ndarray of int
        Payloads (N, C, H, W) or (N, F), shown in every timestep, or with a last axis T.
    layers : sequence of str, optional
        Layers to trace; default: all that have neurons. ``()``: the output alone.
    **options
        Those of the row.

    Raises
    ------
    ConfigError
        For an unknown backend or option.
    """
    check_dropped(name, options)
    return backend_of(name).run(spec, x, layers, **options)
