"""The integer network as data: what a file holds, a runner runs and Lava executes.

A :class:`NetworkSpec` is a tuple of layers. A :class:`Population` is a group of
neurons with one or more synapses that sum into it; each synapse names its source
layer by index, so residual networks are plain DAGs. Nothing here needs torch,
Lava or h5py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lava_mlsnn.errors import FormatError, RangeError, at
from lava_mlsnn.integer.bits import STATE_MAX, STATE_MIN, check_weights, fit_state
from lava_mlsnn.integer.kernels import Pair, conv_output_size
from lava_mlsnn.neuron.step import message_bits

__all__ = [
    "Conv",
    "Dense",
    "Flatten",
    "Identity",
    "Input",
    "Layer",
    "MultiLevel",
    "NetworkSpec",
    "Population",
    "Readout",
    "StockNeuron",
    "Synapse",
]

Shape = tuple[int, ...]
WEIGHT_EXP_RANGE = (-8, 16)


def _integers(value: Any, ndim: int, name: str) -> np.ndarray:
    """The value as an int32 array, or a RangeError/FormatError that names it."""
    array = np.asarray(value)
    if array.ndim != ndim:
        raise FormatError(f"{name} must have {ndim} axes, got shape {array.shape}")
    if array.dtype.kind not in "iuf":
        raise FormatError(f"{name} must be numbers, got type {array.dtype}")
    if array.dtype.kind == "f":
        if not np.all(np.isfinite(array)):
            raise RangeError(f"{name} must be finite, got NaN or infinity")
        if np.any(array != np.rint(array)):
            raise RangeError(f"{name} must hold whole numbers, got {array.ravel()[0]!r} and others")
    if array.size and (array.max() > 2**31 - 1 or array.min() < -(2**31)):
        raise RangeError(f"{name} must fit 32 bits, got {array.min()}..{array.max()}")
    return array.astype(np.int32)


def _check_exp(weight_exp: int) -> None:
    low, high = WEIGHT_EXP_RANGE
    if not low <= weight_exp <= high:
        raise RangeError(f"weight_exp must lie in {low}..{high}, got {weight_exp}")


@dataclass(frozen=True, eq=False)
class Conv:
    """Convolution (torch cross-correlation), one timestep of latency."""

    source: int  # layer index that sends
    weight: np.ndarray  # int32 (C_out, C_in/groups, kH, kW), 8-bit range
    weight_exp: int = 0  # activation is shifted left by this (negative: floor right)
    stride: Pair = (1, 1)  # (H, W)
    padding: Pair = (0, 0)  # (H, W), zeros
    dilation: Pair = (1, 1)  # (H, W)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _integers(self.weight, 4, "weight"))
        _check_exp(self.weight_exp)
        for name in ("stride", "padding", "dilation"):
            pair = tuple(int(x) for x in getattr(self, name))
            low = 0 if name == "padding" else 1
            if len(pair) != 2 or min(pair) < low:
                raise FormatError(f"{name} must be two numbers of at least {low}, got {pair}")
            object.__setattr__(self, name, pair)
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise FormatError(
                f"groups must divide the {self.weight.shape[0]} output channels, got {self.groups}"
            )

    def output_shape(self, source: Shape) -> Shape:
        """Shape (C, H, W) that this synapse gives for a source shape."""
        if len(source) != 3:
            raise FormatError(f"a convolution needs a source of shape (C, H, W), got {source}")
        channels = self.weight.shape[1] * self.groups
        if source[0] != channels:
            raise FormatError(
                f"weight expects {channels} input channels, but its source has {source[0]}"
            )
        size = conv_output_size(
            (source[1], source[2]),
            (self.weight.shape[2], self.weight.shape[3]),
            self.stride,
            self.padding,
            self.dilation,
        )
        if min(size) < 1:
            raise FormatError(f"the kernel does not fit a source of shape {source}")
        return (self.weight.shape[0], *size)


@dataclass(frozen=True, eq=False)
class Dense:
    """All-to-all connection from a flat source, one timestep of latency."""

    source: int
    weight: np.ndarray  # int32 (F_out, F_in), 8-bit range
    weight_exp: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _integers(self.weight, 2, "weight"))
        _check_exp(self.weight_exp)

    def output_shape(self, source: Shape) -> Shape:
        """Shape (F,) that this synapse gives for a source shape (F_in,)."""
        if len(source) != 1:
            raise FormatError(
                f"a dense synapse needs a flat source, got shape {source}; "
                "put a flatten layer between"
            )
        if source[0] != self.weight.shape[1]:
            raise FormatError(
                f"weight expects {self.weight.shape[1]} inputs, but its source has {source[0]}"
            )
        return (self.weight.shape[0],)


@dataclass(frozen=True, eq=False)
class Identity:
    """One-to-one connection with a gain per channel, one timestep of latency."""

    source: int
    weight: np.ndarray  # int32 (C,), 8-bit range
    weight_exp: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _integers(self.weight, 1, "weight"))
        _check_exp(self.weight_exp)

    def output_shape(self, source: Shape) -> Shape:
        """The source's own shape."""
        if source[0] != self.weight.shape[0]:
            raise FormatError(
                f"weight expects {self.weight.shape[0]} channels, but its source has {source[0]}"
            )
        return source


Synapse = Conv | Dense | Identity


@dataclass(frozen=True, eq=False)
class MultiLevel:
    """Multi-level integrate-and-fire: see :mod:`lava_mlsnn.neuron.step`."""

    levels: int  # N, payload 0..N
    vth: np.ndarray  # int32 (C,) or (1,), 1..2**23-1
    v0: np.ndarray  # int32, same shape: state at the start of a sample

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise RangeError(f"levels must be at least 1, got {self.levels}")
        object.__setattr__(self, "vth", _integers(self.vth, 1, "vth"))
        object.__setattr__(self, "v0", _integers(self.v0, 1, "v0"))
        if self.vth.size == 0 or self.vth.min() < 1 or self.vth.max() > STATE_MAX:
            raise RangeError(f"vth must lie in 1..{STATE_MAX}, got {self.vth.min(initial=0)}")
        if self.v0.shape != self.vth.shape:
            raise FormatError(
                f"v0 must have the shape of vth {self.vth.shape}, got {self.v0.shape}"
            )
        if self.v0.min() < STATE_MIN or self.v0.max() > STATE_MAX:
            raise RangeError(f"v0 must fit 24 bits, got {self.v0.min()}..{self.v0.max()}")

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload."""
        return 0, self.levels


@dataclass(frozen=True, eq=False)
class Readout:
    """Sum without spikes, sent as a signed 24-bit payload.

    ``integrate=True``: ``V = V + a + b``, sends V, reset to 0 with every sample
    (the network's output). ``integrate=False``: sends ``a + b`` (a relay: spike
    sums of SEW-ADD, membrane streams of MS-ResNet, pooled sums).
    """

    integrate: bool = True
    num_message_bits: int = 24  # 8, 16 or 24, signed

    def __post_init__(self) -> None:
        if self.num_message_bits not in (8, 16, 24):
            raise FormatError(f"num_message_bits must be 8, 16 or 24, got {self.num_message_bits}")

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload that the message width holds."""
        half = 1 << (self.num_message_bits - 1)
        return -half, half - 1


@dataclass(frozen=True, eq=False)
class StockNeuron:
    """A neuron of lava-dl that only the Lava loader runs (CUBA/LOIHI or SDNN)."""

    type: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload."""
        return (0, 1) if self.type in ("CUBA", "LOIHI") else (STATE_MIN, STATE_MAX)


Neuron = MultiLevel | Readout | StockNeuron


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
        _check_shape(self.shape)
        if not 1 <= self.levels <= STATE_MAX:
            raise RangeError(f"levels must lie in 1..{STATE_MAX}, got {self.levels}")
        if not (np.isfinite(self.gain) and self.gain > 0):
            raise RangeError(f"gain must be a positive number, got {self.gain}")

    @property
    def payload(self) -> Pair:
        """Smallest and largest payload."""
        return (-self.levels if self.signed else 0), self.levels

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
        _check_shape(self.shape)

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
            _check_shape(self.shape)
            if not self.synapses:
                raise FormatError("a layer of neurons needs at least one synapse")
            for synapse in self.synapses:
                if not isinstance(self.neuron, StockNeuron):
                    check_weights(synapse.weight)
            if self.bias is not None:
                bias = _integers(self.bias, 1, "bias")
                object.__setattr__(self, "bias", bias)
                if bias.shape[0] not in (1, self.shape[0]):
                    raise FormatError(
                        f"bias must have one value per channel ({self.shape[0]}), got {bias.shape}"
                    )
                if fit_state(bias.astype(np.int64))[1]:
                    raise RangeError(f"bias must fit 24 bits, got {bias.min()}..{bias.max()}")
            if isinstance(self.neuron, MultiLevel) and self.neuron.vth.shape[0] not in (
                1,
                self.shape[0],
            ):
                raise FormatError(
                    f"vth must have one value or one per channel ({self.shape[0]}), "
                    f"got {self.neuron.vth.shape[0]}"
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
    def num_message_bits(self) -> int:
        """Width of the payload: 0 (binary), 8, 16 or 24 bits."""
        if isinstance(self.neuron, MultiLevel):
            return message_bits(self.neuron.levels)
        if isinstance(self.neuron, Readout):
            return self.neuron.num_message_bits
        return 0 if self.neuron.payload == (0, 1) else 16

    def channels(self, values: np.ndarray) -> np.ndarray:
        """Per-channel values as int64 that broadcast over (C, H, W) or (F,)."""
        return values.astype(np.int64).reshape((-1,) + (1,) * (len(self.shape) - 1))


Layer = Input | Flatten | Population


def _check_shape(shape: Shape) -> None:
    if len(shape) not in (1, 3) or any(int(n) < 1 for n in shape):
        raise FormatError(f"shape must be (F,) or (C, H, W) with positive sizes, got {shape}")


@dataclass(frozen=True, eq=False)
class NetworkSpec:
    """A whole network; checked as a DAG when it is made.

    Raises
    ------
    FormatError
        On an unknown source, a cycle, a shape that does not fit, or equal names.
    """

    layers: tuple[Layer, ...]
    timesteps: int = 1  # T of one sample
    provenance: dict[str, Any] = field(default_factory=dict)  # JSON-able, free form

    def __post_init__(self) -> None:
        from netx_export.graph import check_graph

        if self.timesteps < 1:
            raise FormatError(f"timesteps must be at least 1, got {self.timesteps}")
        check_graph(self.layers)

    @property
    def input(self) -> Input:
        """The input layer (always index 0)."""
        layer = self.layers[0]
        assert isinstance(layer, Input)
        return layer

    @property
    def output(self) -> Population:
        """The last layer."""
        layer = self.layers[-1]
        assert isinstance(layer, Population)
        return layer

    @property
    def populations(self) -> tuple[tuple[int, Population], ...]:
        """Index and layer of every population, in file order."""
        return tuple((i, p) for i, p in enumerate(self.layers) if isinstance(p, Population))

    def label(self, index: int) -> str:
        """``"layer 3 (stage1.block0.conv2)"``, for messages."""
        return f"layer {index} ({self.layers[index].name})"
