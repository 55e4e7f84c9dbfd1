"""Layers as data: input, flatten, and populations of neurons with their synapses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netx_export.errors import FormatError, RangeError, UnsupportedLayerError, at
from netx_export.spec.checks import (
    Shape,
    check_shape,
    flag,
    frozen,
    integers,
    numbers,
    positive,
    source_index,
    whole,
)
from netx_export.spec.kernels import Pair
from netx_export.spec.neurons import Neuron, StockNeuron
from netx_export.spec.neurons.base import per_channel
from netx_export.spec.neurons.step import message_bits
from netx_export.spec.synapses.base import Synapse
from netx_export.spec.widths import STATE_MAX, check_weights, fit_state

__all__ = ["Flatten", "Input", "Layer", "Population"]


@dataclass(frozen=True, eq=False)
class Input:
    """Where samples enter: integers ``z = clip(floor(gain * x + 1/2), low, high)``."""

    shape: Shape  # (C, H, W) or (F,)
    levels: int = 127  # largest payload
    signed: bool = False  # then the smallest payload is -levels, else 0
    gain: float = 1.0  # payload per unit of the user's data
    neuron: StockNeuron | None = None  # only in files of lava-dl
    name: str = "input"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))
        object.__setattr__(self, "levels", whole(self.levels, "levels", 1, STATE_MAX))
        object.__setattr__(self, "signed", flag(self.signed, "signed"))
        object.__setattr__(self, "gain", positive(self.gain, "gain"))

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload."""
        return (-self.levels if self.signed else 0), self.levels

    @property
    def num_message_bits(self) -> int:
        """Width of the payload: 0 (binary), 8, 16 or 24 bits."""
        if self.neuron is not None:
            return self.neuron.num_message_bits
        return message_bits(self.levels) or (8 if self.signed else 0)

    @property
    def sources(self) -> tuple[int, ...]:
        """No sources."""
        return ()


@dataclass(frozen=True, eq=False)
class Flatten:
    """(C, H, W) to (C*H*W,) in that order; no neuron, no latency."""

    source: int
    shape: Shape  # (F,)
    name: str = "flatten"

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", source_index(self.source))
        object.__setattr__(self, "shape", check_shape(self.shape))

    @property
    def sources(self) -> tuple[int, ...]:
        """The one source."""
        return (self.source,)


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons, and the synapses that sum into them."""

    name: str  # unique, such as "stage1.block0.conv2"
    shape: Shape  # (C, H, W) or (F,)
    synapses: tuple[Synapse, ...]
    neuron: Neuron
    bias: np.ndarray | None = None  # int32 (C,), 24-bit; None: no bias
    scale: np.ndarray | None = None  # float64 (C,) or (1,): integer per unit of training

    def __post_init__(self) -> None:
        with at(f"layer {self.name!r}"):
            object.__setattr__(self, "shape", check_shape(self.shape))
            object.__setattr__(self, "synapses", tuple(self.synapses))
            if not self.synapses:
                raise FormatError("a layer of neurons needs at least one synapse")
            if not isinstance(self.neuron, Neuron):
                raise UnsupportedLayerError(
                    "neurons must be of a kind of netx_export.spec, "
                    f"got {type(self.neuron).__name__}"
                )
            for synapse in self.synapses:
                if not isinstance(synapse, Synapse):
                    raise UnsupportedLayerError(
                        "synapses must be of a kind of netx_export.spec, "
                        f"got {type(synapse).__name__}"
                    )
                if self.neuron.exact:
                    check_weights(synapse.weight)
            if self.bias is not None:
                bias = integers(self.bias, 1, "bias")
                object.__setattr__(self, "bias", bias)
                if bias.shape[0] not in (1, self.shape[0]):
                    raise FormatError(
                        f"bias must have one value per channel ({self.shape[0]}), got {bias.shape}"
                    )
                if fit_state(bias.astype(np.int64))[1]:
                    raise RangeError(f"bias must fit 24 bits, got {bias.min()}..{bias.max()}")
            self.neuron.check_channels(self.shape[0])
            if self.scale is not None:
                scale = frozen(numbers(self.scale, 1, "scale"), np.float64)
                object.__setattr__(self, "scale", scale)
                if scale.shape[0] not in (1, self.shape[0]):
                    raise FormatError(
                        f"scale must have one value or one per channel ({self.shape[0]}), "
                        f"got {scale.shape[0]}"
                    )

    @property
    def sources(self) -> tuple[int, ...]:
        """Source layer of every synapse, in order."""
        return tuple(s.source for s in self.synapses)

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload."""
        return self.neuron.payload

    @property
    def keeps_state(self) -> bool:
        """Whether a sample's T decides what it computes; lava-dl's neurons know no samples."""
        return self.neuron.exact and bool(getattr(self.neuron, "integrate", True))

    @property
    def num_message_bits(self) -> int:
        """Width of the payload: 0 (binary), 8, 16 or 24 bits."""
        return self.neuron.num_message_bits

    def channels(self, values: np.ndarray) -> np.ndarray:
        """Per-channel values as int64 that broadcast over (C, H, W) or (F,)."""
        return per_channel(values, len(self.shape))


Layer = Input | Flatten | Population
