"""Sums per neuron to records per layer."""

from __future__ import annotations

import math

import numpy as np

from lava_mlsnn.activity.blocks import block_outputs, feeds_weights
from lava_mlsnn.activity.record import Activity, Block, Count, LayerActivity, SynapseActivity
from netx_export.spec import Flatten, NetworkSpec, Population, Synapse

__all__ = ["summarise"]

EVENTS, PAYLOAD, ACTIVE = range(3)


def summarise(
    spec: NetworkSpec, sums: dict[str, np.ndarray], samples: int, timesteps: int
) -> Activity:
    """Records of a measurement.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    sums : dict of str to ndarray of int64, (3, C, H, W) or (3, F)
        Events, payload and active samples of every neuron, input included.
    samples, timesteps : int
        What they were summed over.
    """
    layers = {
        index: LayerActivity(
            layer=layer.name,
            role=_role(spec, index),
            neurons=math.prod(layer.shape),
            timesteps=timesteps,
            events=int(sums[layer.name][EVENTS].sum()) / samples,
            payload=int(sums[layer.name][PAYLOAD].sum()) / samples,
            active=int(sums[layer.name][ACTIVE].sum()) / samples,
            synapses=tuple(
                _synapse(spec, synapse, sums, samples)
                for synapse in (layer.synapses if isinstance(layer, Population) else ())
            ),
        )
        for index, layer in enumerate(spec.layers)
        if not isinstance(layer, Flatten)
    }
    hidden = [i for i, a in layers.items() if a.role in ("spikes", "relay")]
    stages = block_outputs(spec)
    read = feeds_weights(spec)

    def count(indices: list[int]) -> Count:
        names = [spec.layers[i].name for i in indices]
        events, payload = (
            sum(int(sums[name][part].sum()) for name in names) / samples
            for part in (EVENTS, PAYLOAD)
        )
        return Count(events, payload)

    return Activity(
        samples,
        timesteps,
        tuple(layers.values()),
        tuple(
            Block(s, b, layers[i].layer, layers[i].density, layers[i].magnitude)
            for s, stage in enumerate(stages, 1)
            for b, i in enumerate(stage, 1)
        ),
        into_synapses=count([i for i in hidden if i in read]),
        block_outputs=count([i for stage in stages for i in stage]),
        all=count(hidden),
    )


def _role(spec: NetworkSpec, index: int) -> str:
    layer = spec.layers[index]
    if not isinstance(layer, Population):
        return "input"
    if index == len(spec.layers) - 1:
        return "output"
    return "spikes" if layer.neuron.fires else "relay"


def _synapse(
    spec: NetworkSpec, synapse: Synapse, sums: dict[str, np.ndarray], samples: int
) -> SynapseActivity:
    source = spec.layers[spec.sender(synapse.source)]
    seen = spec.layers[synapse.source].shape
    reached = synapse.fan_out(seen).ravel()
    stored = synapse.fan_out(seen, nonzero=True).ravel()
    per_neuron = sums[source.name].reshape(3, -1)
    done = [_dot(part, reached) for part in per_neuron]
    sent = [int(part.sum()) for part in per_neuron]
    return SynapseActivity(
        source.name,
        synapse.kind,
        int(reached.sum()),
        Count(sent[EVENTS] / samples, sent[PAYLOAD] / samples),
        Count(done[EVENTS] / samples, done[PAYLOAD] / samples),
        done[ACTIVE] / samples,
        _dot(per_neuron[EVENTS], stored) / samples,
    )


def _dot(counts: np.ndarray, reached: np.ndarray) -> int:
    """Exact product: payload sums of wide streams times fan-out can pass 63 bits."""
    largest = int(counts.max(initial=0)) * int(reached.max(initial=0)) * counts.size
    if largest < 1 << 63:
        return int(counts @ reached)
    return sum(int(c) * int(r) for c, r in zip(counts, reached, strict=True))
