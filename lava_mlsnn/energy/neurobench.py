"""NeuroBench's metrics of a network: ours in its terms, and a model that its harness measures.

NeuroBench (Yik et al., Nat. Commun. 16, 1545, 2025) is Apache-2.0, but installs tonic and
importRosbag, which are GPL: it is therefore no extra of this package. Its metrics import with
``pip install --no-deps neurobench`` beside ``snntorch`` (MIT).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lava_mlsnn.activity.record import Activity
from lava_mlsnn.energy.snn import matched
from lava_mlsnn.energy.structure import structure
from lava_mlsnn.errors import ConfigError
from netx_export.spec import NetworkSpec, need_spec

__all__ = ["neurobench_metrics", "neurobench_model"]

WEIGHT_BYTES, STATE_BYTES = 1, 3  # 8 and 24 bits


def neurobench_metrics(spec: NetworkSpec, activity: Activity) -> dict[str, Any]:
    """Static and workload metrics in NeuroBench's names; needs no NeuroBench.

    ::

        footprint           bytes of weights (8 bits), biases, thresholds, V0 (24 bits)
        connection_sparsity zeros / weights, of convolutions and dense synapses
        activation_sparsity 1 - events / (neurons T), populations without the output
        synaptic_operations per sample, non-zero weights only: Effective_ACs where the source
                            sends -1, 0 and 1 only, else Effective_MACs; Dense: all T times

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    activity : Activity
        Of the same network.

    Returns
    -------
    dict
        JSON-able. Identity synapses are no connection layers in NeuroBench, so they are
        in none of these.

    Raises
    ------
    ConfigError
        If the activity is of another network.
    """
    parameters = weights = connected = zeros = 0
    for _, layer in need_spec(spec).populations:
        for synapse in layer.synapses:
            weights += synapse.weight.size
            if synapse.geometry.storage != "diagonal":
                connected += synapse.weight.size
                zeros += int(np.count_nonzero(synapse.weight == 0))
        parameters += 0 if layer.bias is None else layer.bias.size
        parameters += layer.neuron.parameters
    operations = {"Effective_MACs": 0.0, "Effective_ACs": 0.0, "Dense": 0.0}
    for node, found in matched(structure(spec), activity):
        for link, seen in zip(node.links, found.synapses, strict=True):
            if link.geometry.storage == "diagonal":
                continue
            low, high = link.payload
            kind = "Effective_ACs" if low >= -1 and high <= 1 else "Effective_MACs"
            operations[kind] += seen.effective_operations
            operations["Dense"] += link.connections * activity.timesteps
    neurons = activity.timesteps * sum(a.neurons for a in activity.hidden)
    return {
        "footprint": weights * WEIGHT_BYTES + parameters * STATE_BYTES,
        "parameter_count": weights + parameters,
        "connection_sparsity": zeros / connected if connected else 0.0,
        "activation_sparsity": 1 - activity.all.events / neurons if neurons else 0.0,
        "synaptic_operations": operations,
    }


def neurobench_model(spec: NetworkSpec) -> Any:
    """The network as a NeuroBench model: its own harness and metrics measure it.

    Parameters
    ----------
    spec : NetworkSpec
        Multi-level neurons, readouts and relays.

    Returns
    -------
    neurobench.models.TorchModel
        Takes input payloads; runs the integers in torch (:class:`lava_mlsnn.energy.twin.Twin`).
        Its footprint is that of float64 tensors: :func:`neurobench_metrics` has the file's.

    Raises
    ------
    ConfigError
        If NeuroBench is not installed.
    """
    try:
        from neurobench.models import TorchModel
    except ImportError as error:
        raise ConfigError(
            f"NeuroBench cannot be imported ({error}); install it with "
            "'pip install --no-deps neurobench' beside snntorch (it pulls in GPL code otherwise)"
        ) from None
    from lava_mlsnn.energy.twin import Sends, Twin

    model = TorchModel(Twin(spec))
    model.add_activation_module(Sends)
    return model
