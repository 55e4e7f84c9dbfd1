"""Which operations of torch are read, by their names, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from lava_mlsnn.conversion.operations import (
    add,
    batch_norm,
    cat,
    clamp,
    conv,
    dropout,
    hardtanh,
    linear,
    moved,
    relu,
    relu6,
)
from lava_mlsnn.conversion.pooling import adaptive, avg_pool, max_pool, mean
from lava_mlsnn.conversion.reading import Reading

__all__ = ["FUNCTIONS", "LAYERS", "why"]

WHY = {
    "softmax": "changes no rank of the scores; leave it out, or apply it to what the network gives",
    "sigmoid tanh leaky_relu leakyrelu elu gelu silu swish mish softplus prelu celu selu": (
        "is no clipped ReLU; train with ReLU, ReLU6 or Hardtanh(0, x)"
    ),
    "layer_norm layernorm group_norm groupnorm instance_norm instancenorm local_response": (
        "looks at the sample that it normalises; train with BatchNorm"
    ),
    "mul div sub": "multiplies or subtracts, which no population does; put factors into a layer, "
    "and what prepares the samples outside the module",
    "matmul bmm einsum attention lstm gru rnn": (
        "multiplies payloads with each other, which no population does"
    ),
    "transpose upsample interpolate": "has no counterpart here; use a convolution or pooling",
    "chunk split unbind getitem select narrow stack": (
        "takes a part of a payload, or another order of it; give all of it to the next layer"
    ),
    "pad": "adds a border; use the padding of the convolution",
}


def why(name: str) -> str:
    """What to say of a function that has no counterpart."""
    plain = name.lower().strip("_")
    found = [text for keys, text in WHY.items() if any(key in plain for key in keys.split())]
    return found[0] if found else "has no counterpart in integers; leave it out, or train without"


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "conv1d": conv(1),
    "conv2d": conv(2),
    "linear": linear,
    "batch_norm": batch_norm,
    "relu": relu,
    "relu6": relu6,
    "clamp": clamp,
    "clip": clamp,
    "clamp_min": lambda r, input, min: clamp(r, input, min),
    "hardtanh": hardtanh,
    "add": add,
    "iadd": add,
    "radd": lambda r, input, other: add(r, other, input),
    "cat": cat,
    "concat": cat,
    "concatenate": cat,
    "dropout": dropout,
    "dropout1d": dropout,
    "dropout2d": dropout,
    "feature_dropout": dropout,
    "avg_pool1d": avg_pool(1),
    "avg_pool2d": avg_pool(2),
    "adaptive_avg_pool1d": adaptive(1),
    "adaptive_avg_pool2d": adaptive(2),
    "max_pool1d": max_pool(1),
    "max_pool2d": max_pool(2),
    "mean": mean,
}
FUNCTIONS |= dict.fromkeys(
    (
        *("flatten", "view", "reshape", "squeeze", "unsqueeze", "ravel", "contiguous"),
        *("clone", "detach", "float", "double", "to"),
    ),
    moved,
)


def _batch_norm_of(r: Reading, m: Any, x: Any) -> Any:
    statistics = (m.running_mean, m.running_var)
    return batch_norm(r, x, *statistics, m.weight, m.bias, eps=m.eps)


def _conv_of(axes: int) -> Callable[[Reading, Any, Any], Any]:
    read = conv(axes)

    def of(r: Reading, m: Any, x: Any) -> Any:
        if m.padding_mode != "zeros":
            raise r.refused(f"pads by {m.padding_mode!r}; train with padding_mode='zeros'")
        return read(r, x, m.weight, m.bias, m.stride, m.padding, m.dilation, m.groups)

    return of


def _avg_pool_of(axes: int) -> Callable[[Reading, Any, Any], Any]:
    read = avg_pool(axes)

    def of(r: Reading, m: Any, x: Any) -> Any:
        more = (getattr(m, "divisor_override", None),)
        window = (m.kernel_size, m.stride, m.padding)
        return read(r, x, *window, m.ceil_mode, m.count_include_pad, *more)

    return of


def _max_pool_of(axes: int) -> Callable[[Reading, Any, Any], Any]:
    read = max_pool(axes)

    def of(r: Reading, m: Any, x: Any) -> Any:
        window = (m.kernel_size, m.stride, m.padding, m.dilation)
        return read(r, x, *window, m.ceil_mode, m.return_indices)

    return of


LAYERS: dict[type[nn.Module], Callable[[Any, Any, Any], Any]] = {
    nn.Conv1d: _conv_of(1),
    nn.Conv2d: _conv_of(2),
    nn.Linear: lambda r, m, x: linear(r, x, m.weight, m.bias),
    nn.BatchNorm1d: _batch_norm_of,
    nn.BatchNorm2d: _batch_norm_of,
    nn.SyncBatchNorm: _batch_norm_of,
    nn.ReLU: lambda r, m, x: relu(r, x),
    nn.ReLU6: lambda r, m, x: relu6(r, x),
    nn.Hardtanh: lambda r, m, x: clamp(r, x, m.min_val, m.max_val),
    nn.AvgPool1d: _avg_pool_of(1),
    nn.AvgPool2d: _avg_pool_of(2),
    nn.AdaptiveAvgPool1d: lambda r, m, x: adaptive(1)(r, x, m.output_size),
    nn.AdaptiveAvgPool2d: lambda r, m, x: adaptive(2)(r, x, m.output_size),
    nn.MaxPool1d: _max_pool_of(1),
    nn.MaxPool2d: _max_pool_of(2),
    nn.Flatten: lambda r, m, x: moved(r, x),
    nn.Identity: lambda r, m, x: x,
    nn.Dropout: lambda r, m, x: x,
    nn.Dropout1d: lambda r, m, x: x,
    nn.Dropout2d: lambda r, m, x: x,
}
