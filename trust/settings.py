"""Settings of torch and NumPy that a user may have, under which no integer may change."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

__all__ = ["SETTINGS"]


class Halves(TorchFunctionMode):
    """A mode of the user's own that makes every sum wrong."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Half of what was asked for."""
        y = func(*args, **(kwargs or {}))
        wrong = func in (torch.conv2d, torch.nn.functional.linear, torch.Tensor.mul_)
        return y * 0.5 if wrong and y.is_floating_point() else y


@contextlib.contextmanager
def _set_to(write: Callable[[Any], Any], value: Any, before: Any) -> Iterator[None]:
    write(value)
    try:
        yield
    finally:
        write(before)


def _default_dtype(dtype: torch.dtype) -> Callable[[], Any]:
    return lambda: _set_to(torch.set_default_dtype, dtype, torch.float32)


def _fp32(*place: str) -> Any:
    c: Any = torch._C
    if not hasattr(c, "_set_fp32_precision_setter"):
        return contextlib.nullcontext()
    return _set_to(lambda v: c._set_fp32_precision_setter(*place, v), "bf16", "none")


def _qengine(name: str) -> Any:
    if name not in torch.backends.quantized.supported_engines:
        return contextlib.nullcontext()
    before = torch.backends.quantized.engine
    return _set_to(lambda v: setattr(torch.backends.quantized, "engine", v), name, before)


SETTINGS: dict[str, Callable[[], Any]] = {
    "autocast bfloat16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast float16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "default float16": _default_dtype(torch.float16),
    "default bfloat16": _default_dtype(torch.bfloat16),
    "default float64": _default_dtype(torch.float64),
    "default device": lambda: torch.device("meta"),
    "a function mode": Halves,
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "deterministic": lambda: _set_to(torch.use_deterministic_algorithms, True, False),
    "few bits": lambda: _set_to(torch.set_float32_matmul_precision, "medium", "highest"),
    "few bits in convolutions": lambda: _fp32("mkldnn", "conv"),
    "few bits in products": lambda: _fp32("mkldnn", "matmul"),
    "few bits everywhere": lambda: _fp32("generic", "all"),
    "no oneDNN": lambda: torch.backends.mkldnn.flags(enabled=False),
    "NNPACK": lambda: torch.backends.nnpack.flags(enabled=True),
    "no denormals": lambda: _set_to(torch.set_flush_denormal, True, False),
    "another quantised engine": lambda: _qengine("fbgemm"),
    "no quantised engine": lambda: _qengine("none"),
    "three threads": lambda: _set_to(torch.set_num_threads, 3, torch.get_num_threads()),
    "NumPy raises": lambda: np.errstate(all="raise"),
}
