"""The settings under which integers are computed, whatever the user's are.

torch and NumPy have state that changes numbers or makes operators fail: autocast, a
default type or device, fewer bits in float32 products, modes of determinism, of
gradients and of tracing, what NumPy does at an overflow. :func:`exact_settings` puts
all of it at a known value around an integer path and puts the user's back behind it,
also after an error. It stands around whole runs, not around layers; inside itself it
costs nothing. Threads are not among it: exact sums do not depend on their number.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np

__all__ = ["autocasts", "cast_to", "exact_settings", "keep_exact_settings", "written_whole"]

DEVICES = ("cpu", "cuda", "mps", "xpu")  # that autocast knows
FULL = ("none", "ieee")  # "none": nothing said, which is ieee
FLOAT32 = (("generic", "all"), ("mkldnn", "all"), ("mkldnn", "conv"), ("mkldnn", "matmul"))
EXACT = ("ieee",) * len(FLOAT32)


class _Setting(NamedTuple):
    """Something of the whole process."""

    read: Callable[[], Any]
    write: Callable[[Any], Any]
    wanted: Any


class _Process:
    """Who is inside, and what they found: the first to come and the last to go change it."""

    lock = threading.Lock()
    inside = 0
    found: list[tuple[_Setting, Any]] = []  # noqa: RUF012 - one for the process


class _Thread(threading.local):
    level = 0  # set aside here: 1 what NumPy has, 2 what torch has, too


_thread = _Thread()
_kept = ExitStack()


def written_whole(x: Any, weight: Any, width: int) -> tuple[Any, Any]:
    """Maps (B, C, H, W) and weights for ``conv2d`` to ``width`` columns that it computes whole.

    oneDNN 3.3 (torch 2.3) leaves outputs as it finds them where one channel goes to one
    column with a stride, and maps or weights have the strides of (B, H, W, C). With one
    channel that is the plain order in memory, too, so here they get the strides of that.
    """
    if width != 1 or x.shape[1] != 1:
        return x, weight
    return x.flatten().view(x.shape), weight.flatten().view(weight.shape)


@contextmanager
def exact_settings() -> Iterator[None]:
    """Compute under settings that change no integer; the user's come back at the end.

    Loads nothing: where torch is not loaded there is nothing of it to set aside.
    """
    with ExitStack() as stack:
        _enter(stack)
        yield


def keep_exact_settings() -> None:
    """:func:`exact_settings` from now on, in a process of Lava, which inherits its parent's.

    Elsewhere nothing: a ProcessModel made by hand leaves its process as it is.
    """
    import multiprocessing

    if multiprocessing.parent_process() is not None:
        _enter(_kept)


def _enter(stack: ExitStack) -> None:
    torch = sys.modules.get("torch")
    level = 1 if torch is None else 2
    if _thread.level >= level:
        return
    stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
    if torch is not None:
        _enter_thread(torch, stack)
        settings = _settings(torch)
        stack.callback(_leave_process)
        _enter_process(settings)
    stack.callback(setattr, _thread, "level", _thread.level)
    _thread.level = level


def _enter_thread(torch: Any, stack: ExitStack) -> None:
    """What every thread has for itself."""
    if "torch._dynamo" in sys.modules:  # torch.compile around: what is called runs as it stands
        change = torch._C._dynamo.eval_frame.set_eval_frame
        stack.callback(change, change(None))
    if torch._C._len_torch_function_stack():  # a default device is one of these modes, too
        stack.enter_context(torch._C.DisableTorchFunction())
    for device, is_on in _autocast(torch):
        if is_on():
            stack.enter_context(torch.autocast(device, enabled=False))
    if torch.is_inference_mode_enabled():  # what it made could not be used outside
        stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.no_grad())
    if np.float32(1e-40) * np.float32(1) == 0:
        torch.set_flush_denormal(False)
        stack.callback(torch.set_flush_denormal, True)


@functools.cache
def _autocast(torch: Any) -> list[tuple[str, Callable[[], bool]]]:
    """How to ask for every device whether autocast is on."""
    on = torch.is_autocast_enabled
    try:
        on("cpu")
    except TypeError:  # torch before 2.4
        return [("cpu", torch.is_autocast_cpu_enabled), ("cuda", on)]
    return [(device, functools.partial(on, device)) for device in DEVICES]


def autocasts(device: str) -> bool:
    """Whether torch, which is loaded, chooses types by itself on such a device."""
    return any(is_on() for name, is_on in _autocast(sys.modules["torch"]) if name == device)


def cast_to(device: str) -> Any:
    """The type that torch, which is loaded, chooses by itself on such a device; None: none."""
    torch = sys.modules["torch"]
    if not autocasts(device):
        return None
    if hasattr(torch, "get_autocast_dtype"):
        return torch.get_autocast_dtype(device)
    return torch.get_autocast_cpu_dtype() if device == "cpu" else torch.get_autocast_gpu_dtype()


@functools.cache
def _settings(torch: Any) -> tuple[_Setting, ...]:
    """Those that this torch has."""
    c, quantized = torch._C, torch.backends.quantized
    made = [
        lambda: _Setting(torch.get_default_dtype, torch.set_default_dtype, torch.float32),
        lambda: _Setting(c._get_mkldnn_enabled, c._set_mkldnn_enabled, True),
        lambda: _Setting(c._get_nnpack_enabled, c._set_nnpack_enabled, False),  # may pick Winograd
        lambda: _Setting(
            lambda: (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            ),
            lambda now: c._set_deterministic_algorithms(now[0], warn_only=now[1]),
            (False, False),
        ),
        # the eager operators look at it
        lambda: _Setting(
            lambda: quantized.engine,
            lambda name: setattr(quantized, "engine", name),
            "onednn" if "onednn" in quantized.supported_engines else quantized.engine,
        ),
    ]
    if hasattr(c, "_get_fp32_precision_getter"):  # torch 2.9
        read, write = functools.partial(_float32_bits, c), functools.partial(_set_float32_bits, c)
        made.append(lambda: _Setting(read, write, EXACT))
    else:
        made.append(
            lambda: _Setting(
                torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"
            )
        )
    there = []
    for make in made:
        try:
            setting = make()
            setting.read()
        except (AttributeError, RuntimeError, TypeError):  # another torch, another machine
            continue
        there.append(setting)
    return tuple(there)


def _float32_bits(c: Any) -> tuple[str, ...]:
    """Bits of float32 products on the CPU, from the general setting to the special ones."""
    found = tuple(c._get_fp32_precision_getter(*place) for place in FLOAT32)
    return EXACT if all(f in FULL for f in found) else found


def _set_float32_bits(c: Any, values: tuple[str, ...]) -> None:
    for place, value in zip(FLOAT32, values, strict=True):
        # what only follows the general setting has to go on following it
        c._set_fp32_precision_setter(*place, "none")
        if c._get_fp32_precision_getter(*place) != value:
            c._set_fp32_precision_setter(*place, value)


def _enter_process(settings: tuple[_Setting, ...]) -> None:
    with _Process.lock:
        _Process.inside += 1
        for setting in settings:
            now = setting.read()
            if now != setting.wanted:
                setting.write(setting.wanted)
                _Process.found.append((setting, now))


def _leave_process() -> None:
    with _Process.lock:
        _Process.inside -= 1
        while not _Process.inside and _Process.found:
            setting, before = _Process.found.pop()
            setting.write(before)


def _new_lock() -> None:  # another thread may have held it at the fork
    _Process.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
