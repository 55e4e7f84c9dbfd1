"""When a layer's payload arrives: one timestep a synapse, and what shorter arms wait."""

from __future__ import annotations

from netx_export.spec.graph import layer_depths
from netx_export.spec.network import NetworkSpec

__all__ = ["delays", "depths", "latency"]


def depths(spec: NetworkSpec) -> list[int]:
    """Longest path from the input to each layer, in timesteps.

    Parameters
    ----------
    spec : NetworkSpec
        The network.

    Returns
    -------
    list of int
        One a layer, the input's is 0.
    """
    return layer_depths(spec.layers)


def delays(spec: NetworkSpec) -> dict[tuple[int, int], int]:
    """Extra timesteps of every synapse, keyed by (layer index, synapse index).

    Parameters
    ----------
    spec : NetworkSpec
        The network.

    Returns
    -------
    dict
        0 on a longest path.
    """
    depth = depths(spec)
    return {
        (index, k): depth[index] - depth[synapse.source] - 1
        for index, layer in spec.populations
        for k, synapse in enumerate(layer.synapses)
    }


def latency(spec: NetworkSpec) -> int:
    """Timesteps between a sample entering and its result leaving (the output's depth).

    Parameters
    ----------
    spec : NetworkSpec
        The network.

    Returns
    -------
    int
        Timesteps.
    """
    return depths(spec)[len(spec.layers) - 1]
