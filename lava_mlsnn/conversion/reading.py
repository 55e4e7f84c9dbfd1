"""What has been read of a float network so far, and what an operation may ask for."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from lava_mlsnn.conversion.floats import Floats
from lava_mlsnn.conversion.plan import (
    INPUT,
    Arm,
    Joined,
    Maxed,
    Maxima,
    Neurons,
    Payload,
    Pooled,
    Resampled,
    Shape,
    Step,
    Sum,
    Window,
)

__all__ = ["Reading", "RefusedError", "Value"]

Value = Payload | Sum | Maxed | Resampled


class RefusedError(Exception):
    """An operation that no population computes."""


class Reading:
    """Steps so far, and the operation that is read at present.

    Attributes
    ----------
    node : fx.Node
        The operation.
    shape : tuple of int
        Of its result, (C, H, W) or (F,).
    dims : int
        Axes of its first operand, samples included.
    timesteps : int
        T of the network to build.
    floats : Floats
        What the steps send, not rounded.
    """

    node: torch.fx.Node
    shape: Shape
    dims: int

    def __init__(self, timesteps: int) -> None:
        self.timesteps = timesteps
        self.steps: list[Step] = []
        self.floats = Floats()
        self._fired: dict[tuple[int, float, bool], tuple[Sum, Payload]] = {}
        self._names = {INPUT}

    def refused(self, text: str) -> RefusedError:
        """To be raised: why this operation has no counterpart."""
        return RefusedError(text)

    @property
    def layer(self) -> str:
        """Of the present operation: where its layer stands, or what torch.fx calls it."""
        if self.node.op == "call_module":
            return str(self.node.target).replace(".", "_")
        return str(self.node.name)

    def sum(
        self, arms: tuple[Arm, ...], bias: torch.Tensor | None, shape: Shape | None = None
    ) -> Sum:
        """A sum of the present result's shape, or another."""
        total = bias.detach().double() if bias is not None else None
        if total is None:
            weight = arms[0].weight
            total = torch.zeros(len(weight), dtype=torch.float64)
        return Sum(arms, total, shape or self.shape, self.node.name)

    def payload(self, x: Value) -> Payload:
        """What sends a value; a sum is sent by its signs, as two values a channel."""
        if isinstance(x, Payload):
            return x
        if isinstance(x, Maxed):
            raise self.refused(
                "gets a maximum that may be negative; put a ReLU behind the max pooling"
            )
        if isinstance(x, Resampled):
            raise self.refused(
                "gets an adaptive pooling that does not divide the image; only a Linear can "
                "follow, or pool to a size that divides it"
            )
        return self.fire(x, signed=not x.positive)

    def fire(self, x: Sum, cap: float = math.inf, signed: bool = False) -> Payload:
        """A population that sends clip(x, 0, cap), or x by its signs; one for all that ask."""
        key = id(x), cap, signed
        if key in self._fired:
            return self._fired[key][1]
        name = self.unique(x.name or self.layer)
        self.steps.append(Neurons(name, x, signed, cap))
        sent = self.floats.of(x)
        self.floats.sent[name] = sent if signed else sent.clamp(0, cap)
        self._fired[key] = x, Payload(name, x.shape, signed)
        return self._fired[key][1]

    def pool(self, x: Payload, kernel: tuple[int, int], stride: tuple[int, int]) -> Payload:
        """A relay that sends sums over windows, which stand for averages."""
        name = self.unique(self.layer)
        self.steps.append(Pooled(name, x, kernel, stride))
        sent = F.avg_pool2d(self.floats.of(x), kernel, stride)
        self.floats.sent[name] = sent
        return Payload(name, tuple(sent.shape[1:]), x.signed)

    def maxima(self, x: Payload, window: Window, name: str) -> Payload:
        """A max pooling of payloads that are not negative."""
        name = self.unique(name)
        self.steps.append(Maxima(name, x, window))
        sent = window.maxima(self.floats.of(x))
        self.floats.sent[name] = sent
        return Payload(name, tuple(sent.shape[1:]), False)

    def join(self, parts: tuple[Payload, ...]) -> Payload:
        """Payloads side by side."""
        name = self.unique(self.layer)
        self.steps.append(Joined(name, parts))
        sent = torch.cat([self.floats.of(part) for part in parts], 1)
        self.floats.sent[name] = sent
        return Payload(name, tuple(sent.shape[1:]), any(part.signed for part in parts))

    def unique(self, name: str) -> str:
        """A name that no step has yet."""
        found, use = name, 1
        while found in self._names:
            use += 1
            found = f"{name}_{use}"
        self._names.add(found)
        return found
