"""What torch's poolings make of sums and payloads; functions as in :mod:`.operations`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from lava_mlsnn.conversion.operations import Size, as_sum, edges_of, flat, pair_of
from lava_mlsnn.conversion.plan import Arm, Maxed, Payload, Resampled, Sum, Window
from lava_mlsnn.conversion.reading import Reading, Value

__all__ = ["adaptive", "avg_pool", "max_pool", "mean"]


def avg_pool(axes: int) -> Callable[..., Value]:
    """Of AvgPool1d or AvgPool2d."""

    def read(
        r: Reading,
        input: Value,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Value:
        kernel = pair_of(kernel_size, axes)
        step = kernel if not stride and stride != 0 else pair_of(stride, axes)  # type: ignore[arg-type]
        edge = edges_of(padding, axes)
        if divisor_override is not None:
            raise r.refused("divides by another number than its window; leave divisor_override out")
        if edge != (0, 0):
            if not count_include_pad:
                raise r.refused(
                    "divides by fewer values at the border (count_include_pad=False); "
                    "train with count_include_pad=True or without padding"
                )
            _image(r, input)
            x = r.payload(input)
            window = torch.full((x.shape[0], 1, *kernel), 1 / math.prod(kernel)).double()
            arm = Arm(x, window, step, edge, (1, 1), x.shape[0])
            return r.sum((arm,), None)
        return pooled(r, input, kernel, step)

    return read


def max_pool(axes: int) -> Callable[..., Value]:
    """Of MaxPool1d or MaxPool2d."""

    def read(
        r: Reading,
        input: Value,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Value:
        _image(r, input)
        if r.timesteps > 1:
            raise r.refused(
                "is exact at one timestep alone; convert with timesteps=1, or train with average "
                "pooling or a stride"
            )
        kernel = pair_of(kernel_size, axes)
        step = kernel if not stride else pair_of(stride, axes)
        window = Window(kernel, step, edges_of(padding, axes), pair_of(dilation, axes), ceil_mode)
        if isinstance(input, Payload) and not input.signed:
            return r.maxima(input, window, r.layer)
        return Maxed(as_sum(r, input), window, r.shape, r.layer)

    return read


def pooled(r: Reading, x: Value, kernel: tuple[int, int], stride: tuple[int, int]) -> Value:
    """Averages over windows: a relay of sums, or within the weights of 1x1 convolutions."""
    if kernel == stride == (1, 1):
        return x
    _image(r, x)
    if isinstance(x, Sum) and all(arm.pointwise or arm.one_to_one for arm in x.arms):
        sides = zip(x.shape[1:], kernel, stride, strict=True)
        shape = (x.shape[0], *((size - k) // step + 1 for size, k, step in sides))
        return r.sum(tuple(_widened(arm, kernel, stride) for arm in x.arms), x.bias, shape)
    return r.pool(r.payload(x), kernel, stride)


def _widened(arm: Arm, kernel: tuple[int, int], stride: tuple[int, int]) -> Arm:
    """An arm of 1x1 windows and the average of its result as one."""
    groups = len(arm.weight) if arm.one_to_one else arm.groups
    point = arm.weight.reshape(len(arm.weight), -1, 1, 1)
    weight = (point / math.prod(kernel)).repeat(1, 1, *kernel)
    return replace(arm, weight=weight, stride=stride, groups=groups)


def adaptive(axes: int) -> Callable[..., Value]:
    """Of AdaptiveAvgPool1d or AdaptiveAvgPool2d."""

    def read(r: Reading, input: Value, output_size: Any) -> Value:
        image = _image(r, input)
        wanted = [output_size] if isinstance(output_size, (int, type(None))) else [*output_size]
        wanted = wanted * axes if len(wanted) == 1 else wanted
        wanted = [1, *wanted] if axes == 1 else wanted
        size = [int(s) if n is None else int(n) for n, s in zip(wanted, image, strict=True)]
        if all(s % n == 0 for n, s in zip(size, image, strict=True)):
            kernel = (image[0] // size[0], image[1] // size[1])
            return pooled(r, input, kernel, kernel)
        rows, columns = (_bins(s, n) for s, n in zip(image, size, strict=True))
        return Resampled(r.payload(input), rows, columns)

    return read


def _image(r: Reading, x: Value) -> tuple[int, int]:
    if len(x.shape) != 3:
        raise r.refused("comes behind a flatten and has no image to go over")
    return x.shape[1], x.shape[2]


def _bins(size: int, count: int) -> torch.Tensor:
    """Adaptive pooling along one axis, (count, size)."""
    out = torch.zeros(count, size, dtype=torch.float64)
    for k in range(count):
        first, end = k * size // count, -(-(k + 1) * size // count)
        out[k, first:end] = 1 / (end - first)
    return out


def mean(r: Reading, input: Value, dim: Any = None, keepdim: bool = False) -> Value:
    """Over the whole image."""
    image = _image(r, input)
    axes = [dim] if isinstance(dim, int) else list(dim or ())
    dims = r.dims
    spatial = set(range(2, dims))
    if {a % dims for a in axes} != spatial:
        raise r.refused("averages over other axes than the whole image, such as (2, 3)")
    x = pooled(r, input, image, image)
    return x if keepdim else flat(r, x)
