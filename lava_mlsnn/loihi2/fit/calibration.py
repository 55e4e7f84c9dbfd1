"""What samples show: how far sums and states really go, and how many events there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lava_mlsnn.loihi2.fit.activity import EventRates
from lava_mlsnn.runner import IntegerRunner, Progress
from netx_export.spec import Flatten, NetworkSpec, Population, Synapse
from netx_export.spec.encode import check_payload
from netx_export.spec.geometry import rows_of

__all__ = ["Observed", "calibrate"]

Interval = tuple[int, int]


@dataclass(frozen=True)
class Observed:
    """What a calibration set gave.

    Attributes
    ----------
    activity : EventRates
        Events per neuron and timestep.
    accumulator, state : dict of int to (int, int)
        Lowest and highest sum of all synapses, and membrane before the spike (what a
        readout sends), by layer index.
    """

    activity: EventRates
    accumulator: dict[int, Interval]
    state: dict[int, Interval]


def calibrate(spec: NetworkSpec, payload: np.ndarray, progress: Progress | None = None) -> Observed:
    """Run samples through the integer runner and look at every sum.

    Parameters
    ----------
    spec : NetworkSpec
        Without neurons of lava-dl.
    payload : ndarray of int, (N, *shape) or (N, *shape, T)
        At least one sample, as from :func:`lava_mlsnn.encode`.
    progress : callable, optional
        ``progress(done, total)``.

    Raises
    ------
    UnsupportedLayerError, DataError
        As the runner.
    """
    runner = IntegerRunner(spec, on_overflow="wrap")
    events = {i: np.zeros(rows_of(x.shape)) for i, x in enumerate(spec.layers)}
    sums: dict[int, Interval] = {}
    states: dict[int, Interval] = {}
    done = 0
    for trace in runner.iter_traces(payload, progress=progress):
        batch = len(trace.output)
        values = {0: check_payload(spec, payload[done : done + batch])}
        for index, layer in enumerate(spec.layers):
            if isinstance(layer, Population):
                values[index] = trace.layers[layer.name].astype(np.int64)
        for index, z in values.items():
            count = np.count_nonzero(z, axis=(0, z.ndim - 1))
            events[index] += count.reshape(events[index].shape)
        for index, layer in spec.populations:
            a, h = _sums(spec, layer, values, values[index])
            sums[index] = _wider(sums.get(index), a)
            states[index] = _wider(states.get(index), h)
        done += batch
    steps = max(1, done) * spec.timesteps
    kept = {i: e / steps for i, e in events.items() if not isinstance(spec.layers[i], Flatten)}
    return Observed(EventRates(kept, done), sums, states)


def _wider(before: Interval | None, values: np.ndarray) -> Interval:
    low, high = int(values.min()), int(values.max())
    return (low, high) if before is None else (min(low, before[0]), max(high, before[1]))


def _value(spec: NetworkSpec, values: dict[int, np.ndarray], index: int) -> np.ndarray:
    layer = spec.layers[index]
    if not isinstance(layer, Flatten):
        return values[index]
    z = _value(spec, values, layer.source)
    return z.reshape(z.shape[0], -1, z.shape[-1])


def _sums(
    spec: NetworkSpec, layer: Population, values: dict[int, np.ndarray], z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """All synapses together, and the state H before the spike; (N, *shape, T) each."""
    arms = [_arm(s, _value(spec, values, s.source)) for s in layer.synapses]
    a = sum(arms[1:], arms[0])
    if not layer.neuron.fires:
        return a, z
    bias = 0 if layer.bias is None else layer.channels(layer.bias)
    h, axes = np.empty_like(a), len(layer.shape)
    v = layer.neuron.start(axes)
    for t in range(a.shape[-1]):
        h[..., t] = v + a[..., t] + bias
        _, v, _ = layer.neuron.step(v, a[..., t] + bias, axes)
    return a, h


def _arm(synapse: Synapse, x: np.ndarray) -> np.ndarray:
    folded = np.moveaxis(x, -1, 0)
    out = synapse.sum(folded.reshape(-1, *folded.shape[2:]))
    return np.moveaxis(out.reshape(folded.shape[0], folded.shape[1], *out.shape[1:]), 0, -1)
