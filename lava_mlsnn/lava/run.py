"""Run a network file's integers in the Lava simulator and collect them by layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lava_mlsnn.errors import ConfigError, DataError, RunError
from lava_mlsnn.lava.forks import alone
from lava_mlsnn.lava.session import LavaSession, TimeUpError, require_lava
from lava_mlsnn.trace import Trace
from netx_export.spec import NetworkSpec, StockNeuron, need_spec
from netx_export.spec.checks import check_timesteps
from netx_export.spec.encode import as_array, check_payload
from netx_export.spec.graded import graded_input
from netx_export.spec.timing import depths, latency

__all__ = ["LavaResult", "run_lava"]

TAGS = ("fixed_pt", "floating_pt")


LavaResult = Trace  # its public name here


def run_lava(
    spec: NetworkSpec,
    x: np.ndarray,
    *,
    tag: str = "fixed_pt",
    per_layer: bool = False,
    probes: bool | Sequence[str] = False,
    progress: Callable[[int, int], None] | None = None,
    timeout: float | None = None,
    spike_exp: int = 6,
    reset_interval: int | None = None,
    input_message_bits: int = 0,
    timesteps: int | None = None,
) -> Trace:
    """Feed samples one right after the other through the network in Lava.

    Sample n enters in timesteps nT + 1 .. nT + T; at T = 1 one sample enters and
    one result leaves every timestep, after ``latency`` timesteps.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    x : ndarray of int
        Payloads (N, C, H, W) or (N, F), shown in every timestep, or with a last
        axis T. A network of lava-dl's neurons alone takes any T.
    tag : {"fixed_pt", "floating_pt"}
        Which ProcessModels run.
    per_layer : bool
        One operating-system process per synapse and population, instead of one for
        the whole network. The integers, latencies and states are the same, the time
        is not. A network of lava-dl's neurons always runs so.
    probes : bool or sequence of str
        Layers to record: none, all that have neurons, or these.
    progress : callable, optional
        Called as ``progress(done_timesteps, total_timesteps)``.
    timeout : float, optional
        Seconds that the run may take, building and starting included.
    spike_exp : int
        Only for sigma-delta neurons, see :class:`lava_mlsnn.lava.network.process.Network`.
    reset_interval : int, optional
        Only for CUBA neurons of lava-dl: timesteps between two resets, as in its
        loader. Without it a run takes one sample, and a layer with a bias is
        already charged when the sample reaches it.
    input_message_bits : int
        Only for files of lava-dl whose input has no neuron, see :func:`netx_export.read`.

    timesteps : int, optional
        T of one sample, instead of ``spec.timesteps``.

    Returns
    -------
    Trace
        Output and probed layers, each (N, *shape, T), overflows, and the time of the run.

    Raises
    ------
    DataError
        If the samples are not integers of the input's shape and range.
    RunError
        If a Lava process fails, is killed, or time is up. None stays behind.
    MLSNNError
        If Lava is not installed.

    Notes
    -----
    Threads may call it at the same time: they build, start and end their networks one after
    the other and run them side by side. A signal that comes while processes are started is
    handled when they are, so that Ctrl-C is not lost.
    """
    if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
        raise ConfigError(f"timeout must be a number of seconds above 0, or None, got {timeout!r}")
    if tag not in TAGS:
        raise ConfigError(f"tag must be one of {TAGS}, got {tag!r}")
    spec = graded_input(need_spec(spec), input_message_bits)
    if timesteps is not None:
        spec = replace(spec, timesteps=check_timesteps(timesteps))
    names = _probe_names(spec, probes)
    stock = _stock_types(spec)
    keeps = any(p.keeps_state for _, p in spec.populations)  # beside stock's: its T holds
    x = as_array(x)
    if stock and not keeps and x.ndim == len(spec.input.shape) + 2 and x.shape[-1] > 0:
        spec = replace(spec, timesteps=x.shape[-1])
    x = check_payload(spec, x)
    if len(x) > 1 and ("SDNN" in stock or (stock and reset_interval is None)):
        raise DataError(
            f"neurons of type {', '.join(sorted(stock))} keep their state from sample to sample, "
            f"so a run takes one sample, got {len(x)}; put time on the last axis, or (CUBA only) "
            "give a reset_interval"
        )
    steps = len(x) * spec.timesteps
    if steps == 0:
        return _empty(spec, names, tag)
    options = {"spike_exp": spike_exp, "reset_interval": reset_interval}
    run_cfg = {"select_tag": tag, "select_sub_proc_model": per_layer}
    return _run(spec, x, run_cfg, names, progress, timeout, options)


def _run(
    spec: NetworkSpec,
    x: np.ndarray,
    run_cfg: dict[str, Any],
    names: list[str],
    progress: Callable[[int, int], None] | None,
    timeout: float | None,
    options: dict[str, Any],
) -> Trace:
    end = None if timeout is None else time.monotonic() + timeout
    with alone(end):
        require_lava()
        from lava.magma.core.run_configs import Loihi2SimCfg

        from lava_mlsnn.lava.network.process import Network
        from lava_mlsnn.proc.stream.process import Record, Stream

        steps = len(x) * spec.timesteps
        network = Network(spec, **options)
        kind = np.dtype(np.int32 if run_cfg["select_tag"] == "fixed_pt" else np.float64)
        # (N, C, H, W, T) to (N*T, W, H, C)
        source = Stream(data=_time_first(x, spec.input.shape).astype(kind))
        source.s_out.connect(network.inp)
        depth = depths(spec)

        def record(port: Any, index: int) -> Record:
            sink = Record(shape=port.shape, steps=steps, start=depth[index], dtype=kind)
            port.connect(sink.a_in)
            return sink

        output = record(network.out, len(spec.layers) - 1)
        sinks = {name: record(network.probe(name), network.index(name)) for name in names}
        left = None if end is None else end - time.monotonic()
        session = LavaSession(source, Loihi2SimCfg(**run_cfg), left)
    total = steps + latency(spec)
    try:
        with session:
            start = time.perf_counter()
            session.run(
                total, done=lambda: output.done, progress=progress, timeout=timeout, end=end
            )
            seconds = time.perf_counter() - start
            overflows = session.ask(network.overflows, end)
    except TimeUpError:
        raise RunError(
            f"Lava had done 0 of {total} timesteps after {timeout:g} s, it was still starting"
        ) from None
    return Trace(
        _sample_first(output.data, spec, kind),
        {name: _sample_first(sink.data, spec, kind) for name, sink in sinks.items()},
        overflows,
        total,
        seconds,
    )


def _probe_names(spec: NetworkSpec, probes: bool | Sequence[str]) -> list[str]:
    names = [layer.name for _, layer in spec.populations]
    if isinstance(probes, bool):
        return names if probes else []
    wanted = [probes] if isinstance(probes, str) else list(dict.fromkeys(probes))
    for name in wanted:
        if name not in names:
            raise ConfigError(f"no layer is called {name!r}; there are {', '.join(names)}")
    return wanted


def _stock_types(spec: NetworkSpec) -> set[str]:
    neurons = [spec.input.neuron, *(layer.neuron for _, layer in spec.populations)]
    return {neuron.type for neuron in neurons if isinstance(neuron, StockNeuron)}


def _time_first(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(N, C, H, W, T) to (N*T, W, H, C)."""
    moved = np.moveaxis(x, -1, 1).reshape(-1, *shape)
    return moved.transpose(0, *range(len(shape), 0, -1))


def _sample_first(data: np.ndarray, spec: NetworkSpec, kind: np.dtype) -> np.ndarray:
    """(N*T, W, H, C) to (N, C, H, W, T)."""
    turned = data.transpose(0, *range(data.ndim - 1, 0, -1))
    samples = turned.reshape(-1, spec.timesteps, *turned.shape[1:])
    return np.moveaxis(samples, 1, -1).astype(np.int64 if kind.kind == "i" else np.float64)


def _empty(spec: NetworkSpec, names: list[str], tag: str) -> Trace:
    kind = np.int64 if tag == "fixed_pt" else np.float64
    shapes = {layer.name: layer.shape for _, layer in spec.populations}
    arrays = {n: np.zeros((0, *shapes[n], spec.timesteps), kind) for n in [*names]}
    return Trace(np.zeros((0, *spec.output.shape, spec.timesteps), kind), arrays)
