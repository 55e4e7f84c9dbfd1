"""The payloads of a training model's populations, through forward hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lava_mlsnn.errors import ParityError

if TYPE_CHECKING:
    from netx_export.spec import NetworkSpec

__all__ = ["integer_payloads", "training_batches"]

BATCH = 32  # samples at a time: bounds memory


@contextmanager
def integer_payloads(
    model: torch.nn.Module, spec: NetworkSpec, each: Callable[[dict[str, np.ndarray]], None]
) -> Iterator[None]:
    """Give every forward's payloads to ``each`` inside the ``with`` block.

    Parameters
    ----------
    model : Module
        The model that ``spec`` was made of; in ``eval()`` and integer precision inside
        the block, and as it was behind it.
    spec : NetworkSpec
        Which layers there are.
    each : callable
        Called as ``each(layers)`` at the end of a forward, with (N, ..., T) int64 of the
        input and every population by name.

    Raises
    ------
    ParityError
        If model and network have other layers, or a population sends fractions.
    """
    from lava_mlsnn.slayer import precision
    from lava_mlsnn.slayer.block import Input
    from netx_export.handlers import blocks_of, walk

    modules: dict[str, torch.nn.Module] = dict(walk(model).populations)
    names = {p.name for _, p in spec.populations}
    if set(modules) != names:
        other = sorted(set(modules) ^ names)
        raise ParityError(
            f"model and file must have the same layers, these are in one only: {other}"
        )
    for name, block in blocks_of(model).named_children():
        if isinstance(block, Input):
            modules[name] = block
    layers: dict[str, np.ndarray] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            values = output[0] if isinstance(output, tuple) else output
            whole = values.detach().double().cpu().numpy()
            layers[name] = np.rint(whole).astype(np.int64)
            if not np.array_equal(layers[name], whole):
                raise ParityError("the training model sends values that are not integers", name)
            if name == spec.output.name:  # nothing comes after it
                each(dict(layers))
                layers.clear()

        return hook

    handles = [m.register_forward_hook(keep(name)) for name, m in modules.items()]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), precision(model, "integer"):
            yield
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)


def training_batches(
    model: torch.nn.Module, spec: NetworkSpec, data: np.ndarray, batch_size: int = BATCH
) -> Iterator[dict[str, np.ndarray]]:
    """Payloads of every layer in the training model's integer forward, batch by batch.

    Parameters
    ----------
    model, spec
        As above.
    data : ndarray, (N, C, H, W) or (N, F), or with a last axis T
        Samples; rounded as ``encode`` does.
    batch_size : int
        Samples at a time.
    """
    from netx_export.handlers import blocks_of

    found: list[dict[str, np.ndarray]] = []
    device = next((p.device for p in model.parameters()), None)
    for start in range(0, len(data), batch_size):
        with integer_payloads(model, spec, found.append):
            x = torch.from_numpy(np.asarray(data[start : start + batch_size], np.float64))
            if x.dim() == len(spec.input.shape) + 1:
                x = x.unsqueeze(-1).expand(*x.shape, spec.timesteps)
            y: Any = x.to(device)
            for block in blocks_of(model).children():
                y = block(y)
                y = y[0] if isinstance(y, tuple) else y
        yield found.pop()
