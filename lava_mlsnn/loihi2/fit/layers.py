"""What the pre-flight check says of each layer, before anything is placed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lava_mlsnn.errors import MLSNNError
from lava_mlsnn.loihi2.fit.calibration import Observed
from lava_mlsnn.loihi2.fit.limits import Limits
from lava_mlsnn.loihi2.program.programs import allocation_of
from netx_export.spec import Conv, Dense, Identity, NetworkSpec, Population, Synapse
from netx_export.spec.ranges import LayerRange, signed_bits
from netx_export.spec.timing import delays, depths

__all__ = ["CORE_SYNAPSES", "Finding", "findings_of", "needed_weight_bits"]

# what lava_mlsnn/lava/network/chip_synapses.py builds, which needs Lava
CORE_SYNAPSES: tuple[type[Synapse], ...] = (Conv, Dense, Identity)


@dataclass(frozen=True)
class Finding:
    """Something that does not fit.

    Attributes
    ----------
    where : str
        The layer, or empty for the whole network.
    check : str
        Such as ``"accumulator"``.
    message, remedy : str
        What was found, by how much; what would make it fit.
    """

    where: str
    check: str
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message}; {self.remedy}"


def needed_weight_bits(weight: np.ndarray) -> int:
    """Bits of a synapse group's weights, the sign included.

    One sign: of the magnitude, the sign is the group's. Mixed: two's complement, after
    a factor 2 that all weights share is taken out (an 8-bit group keeps even numbers
    beyond -128..127).
    """
    low, high = int(weight.min()), int(weight.max())
    if low >= 0 or high <= 0:
        return max(1, max(high, -low).bit_length())
    half = 2 if not np.any(weight & 1) else 1
    return signed_bits((low // half, high // half))


def findings_of(
    spec: NetworkSpec, ranges: list[LayerRange], observed: Observed | None, limits: Limits
) -> Iterator[Finding]:
    """Everything about single layers that the limits do not permit, in file order."""
    waits, depth = delays(spec), depths(spec)
    for (index, layer), worst in zip(spec.populations, ranges, strict=True):
        where = spec.label(index)
        for k, synapse in enumerate(layer.synapses):
            yield from _synapse(where, k, synapse, waits[index, k], limits)
        yield from _width(where, worst, observed, limits)
        if layer.num_message_bits > limits["message_bits"]:
            yield Finding(
                where,
                "payload",
                f"payloads {layer.payload[0]}..{layer.payload[1]} need messages of "
                f"{layer.num_message_bits} bits, the limit is {limits.why('message_bits')}",
                "use fewer levels",
            )
        yield from _program(where, layer, spec.timesteps, depth[index])


def _synapse(where: str, k: int, synapse: Synapse, wait: int, limits: Limits) -> Iterator[Finding]:
    if type(synapse) not in CORE_SYNAPSES:
        known = ", ".join(kind.kind for kind in CORE_SYNAPSES)
        yield Finding(
            where,
            "synapse",
            f"synapse {k} is of type {synapse.kind}, and Lava's neuro-cores have {known}",
            "train without it, or run the network on the CPU",
        )
    bits = needed_weight_bits(synapse.weight)
    if bits > limits["weight_bits"]:
        yield Finding(
            where,
            "weights",
            f"weights {synapse.weight.min()}..{synapse.weight.max()} of synapse {k} need {bits} "
            f"bits, the limit is {limits.why('weight_bits')}",
            f"train with weight_bits={limits['weight_bits']}",
        )
    low, high = limits["weight_exp_min"], limits["weight_exp_max"]
    if not low <= synapse.weight_exp <= high:
        name = "weight_exp_min" if synapse.weight_exp < low else "weight_exp_max"
        yield Finding(
            where,
            "exponent",
            f"synapse {k} has the exponent {synapse.weight_exp}, the limit is {limits.why(name)}",
            "rescale the layer, or train with thresholds that are closer together",
        )
    if synapse.geometry.storage != "kernel" and wait > limits["delay"]:
        yield Finding(
            where,
            "delay",
            f"synapse {k} waits {wait} timesteps, the limit is {limits.why('delay')}",
            "put a relay on the shortcut",
        )


def _width(
    where: str, worst: LayerRange, observed: Observed | None, limits: Limits
) -> Iterator[Finding]:
    if not worst.problem and worst.bits <= limits["state_bits"]:
        return
    excess = worst.bits - limits["state_bits"]
    message = worst.problem or (
        f"sums and states can need {worst.bits} bits, the limit is {limits.why('state_bits')}"
    )
    if observed is not None and worst.index in observed.accumulator:
        seen = signed_bits(observed.accumulator[worst.index], observed.state[worst.index])
        message += f" ({observed.activity.samples} samples needed {seen} bits)"
    remedy = "send its payload in wider messages"
    if excess > 0:
        remedy = (
            f"it is {excess} bit{'s' if excess > 1 else ''} over: divide the input levels, N "
            f"before it or the number of its inputs by {2**excess}, or train with weight_bits="
            f"{max(2, 8 - excess)}"
        )
    yield Finding(where, "accumulator", message, remedy)


def _program(where: str, layer: Population, timesteps: int, depth: int) -> Iterator[Finding]:
    try:
        allocation_of(layer, timesteps, depth)
    except MLSNNError as error:
        message, _, remedy = error.message.rpartition("; ")
        yield Finding(where, "neuron program", message or error.message, remedy)
