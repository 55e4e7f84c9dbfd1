"""All layers of one sample as one call.

One sample has so little arithmetic in a layer that Python between the layers takes a
third of the time. So once calls for one sample repeat, the network is made anew as one
call: traced into a graph of torch's own interpreter (TorchScript), and as a model of 8
bits in onnxruntime where that is installed. What gives other integers than the layers
one by one is not used; of what is right, the faster one is.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from lava_mlsnn.engine.form import Form
from lava_mlsnn.engine.payload import plain
from lava_mlsnn.engine.probe import LOCK
from lava_mlsnn.engine.trial import reason, say
from netx_export.exact_settings import exact_settings

__all__ = ["Call", "Whole", "traced"]

PAYS = 2000  # calls, at half a millisecond each, that cost what making it does
TRIES = 5  # torch's interpreter watches two runs, then rewrites the graph: what stays is tried

Call = Callable[..., Sequence[Any]]  # tensors or arrays to tensors or arrays


class Whole:
    """A function that is made once it was asked for so often that this pays.

    Parameters
    ----------
    makers : dict of str to callable
        Each makes the function, or says None where it cannot be; by the words with which
        it is said that one does not work.
    plainly : callable
        The same function, layer by layer.
    examples : callable
        Makes a few arguments of it, always the same.
    """

    def __init__(
        self,
        makers: dict[str, Callable[[], Call | None]],
        plainly: Call,
        examples: Callable[[], Iterable[Sequence[Any]]],
    ) -> None:
        self._makers = makers
        self._plainly = plainly
        self._examples = examples
        self._calls = 0
        self._place: tuple[int, int] | None = None
        self._made: Call | None = None

    def __call__(self, *inputs: Any) -> Sequence[Any] | None:
        """The outputs; None where the layers are to be run one by one."""
        self._look()
        if self._made is None:
            self._calls += 1
            if self._calls == PAYS:
                self.make()
            if self._made is None:
                return None
        try:
            return self._made(*inputs)
        except Exception as error:  # whatever another torch says
            say("one call for a sample", reason(error))
            self._makers, self._made = {}, None
            return None

    @property
    def ready(self) -> bool:
        """Whether it is made, for the threads of now."""
        return self._made is not None and self._place == _place()

    def _look(self) -> None:
        """Neither threads of a parent before a fork, nor more or fewer than asked for now."""
        if self._place != _place():
            self._place, self._calls, self._made = _place(), 0, None

    @exact_settings()
    @torch.inference_mode()
    def make(self) -> None:
        """Make it now."""
        self._look()
        self._calls = max(self._calls, PAYS)
        cases = [(inputs, self._plainly(*inputs)) for inputs in self._examples()]
        seconds: dict[Call, float] = {}
        for name, make in self._makers.items():
            try:
                call = make()
                if call is None:
                    continue
                seconds[call] = min(_tried(call, inputs, outputs) for inputs, outputs in cases)
            except Exception as error:  # whatever another torch says
                say(name, reason(error))
        self._made = min(seconds, key=seconds.__getitem__, default=None)


def _place() -> tuple[int, int]:
    return os.getpid(), torch.get_num_threads()


class _DiffersError(Exception):
    """It gives other integers."""


def _tried(call: Call, inputs: Sequence[Any], outputs: Sequence[Any]) -> float:
    best = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        found = call(*inputs)
        best = min(best, time.perf_counter() - began)
        if not all(_equal(f, e) for f, e in zip(found, outputs, strict=True)):
            raise _DiffersError("it gives other integers")
    return best


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, np.ndarray):
        return np.array_equal(found, expected)
    return torch.equal(plain(found).double(), plain(expected).double())


def traced(compute: Call, forms: Iterable[Form], examples: Sequence[torch.Tensor]) -> Call | None:
    """A graph of ``compute``, which runs ``forms``; None where one of them cannot be in it."""
    owned = [form.owned() for form in forms]
    if any(items is None for items in owned):
        return None

    class Layers(torch.nn.Module):
        """What is traced has to own the packed weights that it is called with."""

        def __init__(self) -> None:
            super().__init__()
            for k, item in enumerate(i for items in owned for i in items or ()):
                setattr(self, f"packed{k}", item)

        def forward(self, *inputs: torch.Tensor) -> Sequence[torch.Tensor]:
            return compute(*inputs)

    # it warns of Python numbers that it keeps (shapes, which stay), and newer ones of its end
    with LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch.jit.trace(Layers().eval(), tuple(examples), check_trace=False)
        call: Call = torch.jit.freeze(graph)
    return call
