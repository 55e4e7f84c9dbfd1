"""What a float network computes, in terms of populations: a plan without thresholds yet."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

__all__ = [
    "INPUT",
    "Arm",
    "Joined",
    "Maxed",
    "Maxima",
    "Neurons",
    "Payload",
    "Plan",
    "Pooled",
    "Relay",
    "Resampled",
    "Scores",
    "Step",
    "Sum",
    "Window",
]

Shape = tuple[int, ...]
Pair = tuple[int, int]
INPUT = "input"  # the step that samples enter by


@dataclass(frozen=True)
class Payload:
    """What a step sends.

    Attributes
    ----------
    step : str
        Its name.
    shape : tuple of int
        Of the float tensor that the payload stands for, (C, H, W) or (F,).
    signed : bool
        Whether that tensor may be negative. Spikes cannot: neurons then send every channel
        c as two, max(v_c, 0) and max(-v_c, 0), at 2c and 2c + 1.
    flat : bool
        Whether (C, H, W) was flattened to (F,).
    """

    step: str
    shape: Shape
    signed: bool
    flat: bool = False


@dataclass(frozen=True)
class Arm:
    """A linear map of one payload, without bias; ``weight`` is float64.

    (C', C / groups, kH, kW) for a convolution, (F', F) for a dense one, (C,) for a
    one-to-one one.
    """

    source: Payload
    weight: torch.Tensor
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    name: str = ""  # of the layer that it comes from; none for one-to-one maps

    @property
    def one_to_one(self) -> bool:
        """Whether it is a gain per channel."""
        return self.weight.dim() == 1

    @property
    def pointwise(self) -> bool:
        """Whether it maps every place of an image by itself."""
        window = (self.stride, self.padding, tuple(self.weight.shape[2:]))
        return self.weight.dim() == 4 and window == ((1, 1), (0, 0), (1, 1))


@dataclass(frozen=True)
class Sum:
    """Arms and a bias, (C,) float64: what a population sums up before it fires."""

    arms: tuple[Arm, ...]
    bias: torch.Tensor
    shape: Shape
    place: str  # fx node whose value it is

    @property
    def name(self) -> str:
        """The first layer with weights that it adds; "" if there is none."""
        return next((arm.name for arm in self.arms if arm.name), "")

    @property
    def positive(self) -> bool:
        """Whether it can never be negative."""
        parts = (self.bias, *(arm.weight for arm in self.arms))
        return all(bool((p >= 0).all()) for p in parts) and not any(
            arm.source.signed for arm in self.arms
        )


@dataclass(frozen=True)
class Window:
    """Of a max pooling."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    ceil: bool

    def maxima(self, x: torch.Tensor) -> torch.Tensor:
        """Over images (N, C, H, W)."""
        edges = (self.padding, self.dilation, self.ceil)
        return F.max_pool2d(x, self.kernel, self.stride, *edges)


@dataclass(frozen=True)
class Maxed:
    """Maxima over windows of a sum: relu(max(v)) = max(relu(v)), so a ReLU has to come next."""

    of: Sum
    window: Window
    shape: Shape
    name: str


@dataclass(frozen=True)
class Resampled:
    """Adaptive pooling to a size that does not divide: rows @ x @ columns.T; a Linear is next."""

    source: Payload
    rows: torch.Tensor  # (H', H)
    columns: torch.Tensor  # (W', W)
    flat: bool = False

    @property
    def shape(self) -> Shape:
        """(C, H', W') or (F,)."""
        c = self.source.shape[0]
        size = (c, len(self.rows), len(self.columns))
        return (math.prod(size),) if self.flat else size


@dataclass(frozen=True)
class Neurons:
    """A population that fires clip(v, 0, cap), or v by its signs."""

    name: str
    sum: Sum
    signed: bool
    cap: float = math.inf

    @property
    def sources(self) -> tuple[str, ...]:
        """Steps that it reads."""
        return tuple(arm.source.step for arm in self.sum.arms)


@dataclass(frozen=True)
class Pooled:
    """Sums over windows, sent as they are; the reader's weights divide them."""

    name: str
    source: Payload
    kernel: Pair
    stride: Pair

    @property
    def sources(self) -> tuple[str, ...]:
        """Steps that it reads."""
        return (self.source.step,)


@dataclass(frozen=True)
class Maxima:
    """A max pooling of payloads."""

    name: str
    source: Payload
    window: Window

    @property
    def sources(self) -> tuple[str, ...]:
        """Steps that it reads."""
        return (self.source.step,)


@dataclass(frozen=True)
class Joined:
    """Payloads side by side, channel by channel: no population, its readers read them all."""

    name: str
    parts: tuple[Payload, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Steps that it reads."""
        return tuple(part.step for part in self.parts)


@dataclass(frozen=True)
class Relay:
    """Sends what it reads, one timestep later."""

    name: str
    source: Payload

    @property
    def sources(self) -> tuple[str, ...]:
        """Steps that it reads."""
        return (self.source.step,)


@dataclass(frozen=True)
class Scores:
    """The readout."""

    name: str
    sum: Sum

    @property
    def sources(self) -> tuple[str, ...]:
        """Steps that it reads."""
        return tuple(arm.source.step for arm in self.sum.arms)


Step = Neurons | Pooled | Maxima | Joined | Relay | Scores


@dataclass
class Plan:
    """The steps in an order in which they can be computed.

    Attributes
    ----------
    shape : tuple of int
        Of a sample as the built network takes it.
    graph : torch.fx.GraphModule
        The float network.
    steps : list of Step
        The last one is the readout.
    """

    shape: Shape
    graph: torch.fx.GraphModule
    steps: list[Step] = field(default_factory=list)
