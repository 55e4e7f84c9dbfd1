"""What the integer runner does on labelled samples: all that a report shows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lava_mlsnn.activity import Activity, ActivityMeter
from lava_mlsnn.errors import DataError
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export.spec import NetworkSpec
from netx_export.spec.widths import fit_state

__all__ = ["Levels", "Run", "collect", "membranes"]

GROUPS = 16  # of levels, where there are more


@dataclass
class Levels:
    """What a population of neurons sends.

    Attributes
    ----------
    highest : int
        N.
    counts : ndarray of int64, (G + 1,)
        Messages of payload 0, then of G groups of equally many levels up to N.
    saturated : int
        Messages of payload N.
    channels, dead : int
        Channels, and those that sent nothing.
    """

    highest: int
    counts: np.ndarray
    saturated: int
    channels: int
    dead: int

    @property
    def saturation(self) -> float:
        """Share of all messages, 0..1."""
        return self.saturated / int(self.counts.sum())


@dataclass
class Run:
    """A run over labelled samples.

    Attributes
    ----------
    x : ndarray, (N, C, H, W), or with a last axis T
        Samples as the user has them.
    y, classes : ndarray of int64, (N,)
        Labels, and what the network says.
    scores : ndarray of int64, (N, outputs)
        Of the last layer, at the last timestep.
    activity : Activity
        Mean over the samples.
    levels : dict of str to Levels
        Per spiking population.
    shown : int
        The sample whose payloads are kept: the first that is right, if one is.
    layers : dict of str to ndarray, (C, H, W, T) or (F, T)
        Its payloads in every population, and of the input.
    """

    x: np.ndarray
    y: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    activity: Activity
    levels: dict[str, Levels]
    shown: int
    layers: dict[str, np.ndarray]

    @property
    def accuracy(self) -> float:
        """Share of right samples, 0..1."""
        return float((self.classes == self.y).mean())


def collect(
    spec: NetworkSpec,
    x: np.ndarray,
    y: np.ndarray,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Run samples in the integer runner.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    x : ndarray, (N, C, H, W) or (N, F), or with a last axis T
        Samples in the user's units.
    y : ndarray of int64, (N,)
        Labels, as the outputs are numbered.
    progress : callable, optional
        ``progress(done, total)``.

    Returns
    -------
    Run
        What was found.

    Raises
    ------
    DataError
        For no samples, or other than the network takes.
    """
    if not len(x):
        raise DataError("a report needs at least one sample, got none")
    payload = encode(spec, x)
    runner, meter = IntegerRunner(spec), ActivityMeter(spec)
    spiking = {p.name: p.payload[1] for _, p in spec.populations if p.neuron.fires}
    counts = {name: np.zeros(min(n, GROUPS) + 1, np.int64) for name, n in spiking.items()}
    highest = dict.fromkeys(spiking, 0)
    sent = {p.name: np.zeros(p.shape[0], np.int64) for _, p in spec.populations}
    scores = []
    for trace in meter.follow(runner.iter_traces(payload, progress=progress), payload):
        scores.append(trace.output[..., -1])
        for name, top in spiking.items():
            z = trace.layers[name]
            groups = len(counts[name]) - 1
            group = z if groups == top else -(-z.astype(np.int64) * groups // top)
            counts[name] += np.bincount(group.ravel(), minlength=groups + 1)
            highest[name] += int(np.count_nonzero(z == top))
            sent[name] += np.count_nonzero(z, axis=(0, *range(2, z.ndim)))
    found = np.concatenate(scores)
    classes = found.argmax(1)
    right = np.flatnonzero(classes == y)
    shown = int(right[0]) if len(right) else 0
    layers = {name: z[0] for name, z in runner.trace(payload[shown : shown + 1]).layers.items()}
    first = payload[shown]
    if first.ndim == len(spec.input.shape):
        first = np.repeat(first[..., None], spec.timesteps, -1)
    levels = {
        name: Levels(
            top, counts[name], highest[name], len(sent[name]), int((sent[name] == 0).sum())
        )
        for name, top in spiking.items()
    }
    return Run(
        x, y, classes, found, meter.result(), levels, shown, {spec.input.name: first, **layers}
    )


def membranes(
    spec: NetworkSpec, layers: dict[str, np.ndarray], most: int = 6
) -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """The most active neuron of some spiking populations, timestep by timestep.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    layers : dict of str to ndarray
        Payloads of one sample, ``Run.layers``.
    most : int
        Populations, evenly over the depth.

    Returns
    -------
    dict of str to (ndarray, ndarray, int)
        Membrane before the spike, H (T,), payload z (T,), and threshold of the neuron.
    """
    spiking = [p for _, p in spec.populations if p.neuron.fires]
    places = np.unique(np.linspace(0, len(spiking) - 1, min(most, len(spiking))).round())
    found = {}
    for layer in (spiking[int(i)] for i in places):
        z = np.moveaxis(layers[layer.name], -1, 0).astype(np.int64)
        arms = []
        for synapse in layer.synapses:
            source = layers[spec.layers[spec.sender(synapse.source)].name]
            seen = spec.layers[synapse.source].shape
            steps = np.moveaxis(source, -1, 0).astype(np.int64).reshape(-1, *seen)
            arms.append(fit_state(synapse.sum(steps))[0])
        total = fit_state(sum(arms[1:], arms[0]))[0]
        if layer.bias is not None:
            total = total + layer.channels(layer.bias)
        axes = len(layer.shape)
        flat = int(z.sum(0).argmax())
        place = np.unravel_index(flat, layer.shape)
        v = np.zeros(layer.shape, np.int64) + layer.neuron.start(axes)
        before = []
        for a in total:
            before.append(int(v[place] + a[place]))
            v = layer.neuron.step(v, a, axes)[1]
        vth = np.broadcast_to(layer.channels(layer.neuron.vth), layer.shape)  # type: ignore
        found[layer.name] = np.array(before), z.reshape(len(z), -1)[:, flat], int(vth[place])
    return found
