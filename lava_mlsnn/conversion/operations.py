"""What torch's layers, activations and additions make of sums and payloads.

Each function here takes what the function of torch of that name takes, with a reading first
and values of :mod:`lava_mlsnn.conversion.plan` in place of tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from lava_mlsnn.conversion.plan import Arm, Maxed, Payload, Resampled, Sum
from lava_mlsnn.conversion.reading import Reading, Value

__all__ = [
    "Size",
    "add",
    "as_sum",
    "batch_norm",
    "cat",
    "clamp",
    "conv",
    "dropout",
    "edges_of",
    "flat",
    "hardtanh",
    "linear",
    "moved",
    "pair_of",
    "relu",
    "relu6",
]

Size = int | Sequence[int]


def pair_of(value: Size, axes: int = 2) -> tuple[int, int]:
    """(H, W); of one axis (1, W)."""
    both = [value] * axes if isinstance(value, int) else list(value)
    both = both * axes if len(both) == 1 else both
    return (int(both[0]), int(both[1])) if axes == 2 else (1, int(both[0]))


def edges_of(padding: Size, axes: int) -> tuple[int, int]:
    """Padding as (H, W); there is none along the axis that (C, L) lacks."""
    return pair_of(padding) if axes == 2 else (0, pair_of(padding, 1)[1])


def _ones(x: Payload) -> torch.Tensor:
    return torch.ones(x.shape[0], dtype=torch.float64)


def as_sum(r: Reading, x: Value) -> Sum:
    """Anything that a population can add up."""
    if isinstance(x, Sum):
        return x
    if isinstance(x, Payload):
        bias = torch.zeros(x.shape[0], dtype=torch.float64)
        return Sum((Arm(x, _ones(x)),), bias, x.shape, r.node.all_input_nodes[0].name)
    if isinstance(x, Maxed):
        raise r.refused("gets a maximum that may be negative; put a ReLU behind the max pooling")
    raise r.refused(
        "gets an adaptive pooling that does not divide the image; only a Linear can "
        "follow, or pool to a size that divides it"
    )


def conv(axes: int) -> Callable[..., Value]:
    """Of Conv1d or Conv2d."""

    def read(
        r: Reading,
        input: Value,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> Value:
        x = r.payload(input)
        if len(x.shape) != 3:
            raise r.refused("comes behind a flatten and has no image to go over")
        w = weight.detach().double()
        w = w if axes == 2 else w.unsqueeze(2)
        dilation, size = pair_of(dilation, axes), w.shape[2:]
        if padding == "same":
            whole = [d * (k - 1) for d, k in zip(dilation, size, strict=True)]
            if any(p % 2 for p in whole):
                raise r.refused(
                    "pads one side more than the other (padding='same' of an even kernel); "
                    "use an odd kernel or a number"
                )
            edge = (whole[0] // 2, whole[1] // 2)
        elif isinstance(padding, str):
            edge = (0, 0)
        else:
            edge = edges_of(padding, axes)
        arm = Arm(x, w, pair_of(stride, axes), edge, dilation, groups, r.layer)
        return r.sum((arm,), bias)

    return read


def linear(
    r: Reading, input: Value, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> Value:
    """A dense arm; of a resampled image with the resampling in its weight."""
    w = weight.detach().double()
    if isinstance(input, Resampled) and input.flat:
        c = input.source.shape[0]
        image = w.reshape(len(w), c, len(input.rows), len(input.columns))
        w = torch.einsum("fcij,iy,jx->fcyx", image, input.rows, input.columns).flatten(1)
        size = (w.shape[1],)
        x = Payload(input.source.step, size, input.source.signed, flat=True)
    else:
        x = r.payload(input)
    if len(x.shape) != 1:
        raise r.refused(f"takes (N, F), got (N, {', '.join(map(str, x.shape))}); flatten before it")
    return r.sum((Arm(x, w, name=r.layer),), bias)


def batch_norm(
    r: Reading,
    input: Value,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> Value:
    """G = weight / sqrt(var + eps), folded: g (v - mean) + bias."""
    if running_mean is None or running_var is None or training:
        raise r.refused(
            "looks at the batch; it needs running statistics (track_running_stats=True)"
        )
    x = as_sum(r, input)
    gain = 1 / torch.sqrt(running_var.double() + eps)
    gain = gain if weight is None else gain * weight.detach().double()
    arms = tuple(
        replace(arm, weight=arm.weight * gain.reshape(-1, *[1] * (arm.weight.dim() - 1)))
        for arm in x.arms
    )
    shift = gain * (x.bias - running_mean.double())
    return r.sum(arms, shift if bias is None else shift + bias.detach().double())


def _clipped(r: Reading, x: Value, cap: float) -> Value:
    if isinstance(x, Payload) and not x.signed and cap == math.inf:
        return x
    if isinstance(x, Maxed):
        return r.maxima(r.fire(x.of, cap=cap), x.window, x.name)
    return r.fire(as_sum(r, x), cap=cap)


def relu(r: Reading, input: Value, inplace: bool = False) -> Value:
    """A population."""
    return _clipped(r, input, math.inf)


def relu6(r: Reading, input: Value, inplace: bool = False) -> Value:
    """A population whose largest payload stands for at most 6."""
    return _clipped(r, input, 6.0)


def clamp(r: Reading, input: Value, min: Any = None, max: Any = None) -> Value:
    """From 0 to a number above it."""
    top = math.inf if max is None else max
    if not isinstance(min, (int, float)) or not isinstance(top, (int, float)) or min != 0:
        raise r.refused(f"clips to {min}..{max}; a population clips to 0..x, numbers both")
    if top <= 0:
        raise r.refused(f"clips to {min}..{max}, which leaves nothing")
    return _clipped(r, input, float(top))


def hardtanh(
    r: Reading, input: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Value:
    """From 0 to a number above it."""
    return clamp(r, input, min_val, max_val)


def add(r: Reading, input: Value, other: Value, alpha: float = 1) -> Value:
    """All arms of both."""
    pair = [x for x in (input, other) if not (isinstance(x, (int, float)) and x == 0)]
    if len(pair) == 1 and isinstance(pair[0], Value):
        return pair[0]
    if alpha != 1 or not all(isinstance(x, Value) for x in pair):
        raise r.refused("adds a constant or a multiple; put it into the bias or weight of a layer")
    a, b = (as_sum(r, x) for x in pair)
    if a.shape != b.shape:
        raise r.refused(f"adds {b.shape} to {a.shape}; both must have one shape")
    return r.sum((*a.arms, *b.arms), a.bias + b.bias)


def flat(r: Reading, x: Value) -> Value:
    """(C, H, W) as (F,)."""
    if isinstance(x, Sum) and x.shape[1:] == (1, 1) and all(_whole(arm) for arm in x.arms):
        arms = tuple(
            Arm(
                flat(r, arm.source),  # type: ignore[arg-type]
                arm.weight if arm.one_to_one else arm.weight.flatten(1),
                name=arm.name,
            )
            for arm in x.arms
        )
        return r.sum(arms, x.bias)
    if isinstance(x, Resampled):
        return replace(x, flat=True)
    x = r.payload(x)
    return replace(x, shape=(math.prod(x.shape),), flat=True)


def _whole(arm: Arm) -> bool:
    """Whether a convolution reads its whole image once."""
    plain = arm.groups == 1 and arm.padding == (0, 0)
    return arm.one_to_one or (plain and tuple(arm.weight.shape[2:]) == arm.source.shape[1:])


def moved(r: Reading, input: Value, *_: Any, **__: Any) -> Value:
    """What changes the shape at most: nothing, or a flatten."""
    shape = r.shape
    if shape == input.shape:
        return input
    if len(shape) == 1 and len(input.shape) == 3 and shape[0] == math.prod(input.shape):
        return flat(r, input)
    raise r.refused(f"makes {shape} of {input.shape}; only a flatten to (N, F) is followed")


def cat(r: Reading, tensors: Sequence[Value], dim: int = 0) -> Value:
    """Payloads side by side, along channels."""
    if dim % r.dims != 1:
        raise r.refused(f"joins along axis {dim}; payloads are joined along channels, axis 1")
    if not all(isinstance(x, Value) for x in tensors):
        raise r.refused("joins a payload and a constant; leave the constant out")
    parts = tuple(r.payload(x) for x in tensors)
    return parts[0] if len(parts) == 1 else r.join(parts)


def dropout(
    r: Reading, input: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Value:
    """Nothing, in eval()."""
    if training and p:
        raise r.refused("drops at random even in eval(); give training=self.training")
    return input
