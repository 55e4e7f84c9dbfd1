"""The networks and samples of the cases, made by a worker: random, calibrated, exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["chain", "random_samples", "resnet"]

CIFAR = (3, 32, 32)


def random_samples(threads: int, path: str, count: int, shape: list[int], levels: int) -> dict:
    """Payloads (count, *shape), uint8, evenly drawn: the networks are calibrated on such."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, levels + 1, (count, *shape), dtype=np.uint8)
    with Path(path).open("wb") as file:
        np.save(file, values)
    return {"seconds": []}


def resnet(threads: int, path: str, **config: Any) -> dict:
    """Write a network of :func:`lava_mlsnn.build_model` with random weights."""
    from lava_mlsnn import ModelConfig, build_model

    _seed()
    _export(build_model(ModelConfig(**config)), tuple(config["input_shape"]), path)
    return {"seconds": []}


def chain(
    threads: int, path: str, blocks: int, width: int, size: int, timesteps: int, levels: int
) -> dict:
    """Write a stem and so many residual blocks of one width: one size at a time can grow."""
    import torch

    from lava_mlsnn.slayer import block as b

    _seed()
    neuron = {"threshold": 1.0, "levels": levels}
    last: Any = b.Input((3, size, size), 127, 127.0)
    parts: list[Any] = [last]
    last = b.Conv(neuron, 3, width, 3, padding=1, input_size=size)
    parts.append(last)
    for _ in range(blocks):
        last = b.Residual(neuron, last.shape, width, payload_max=levels)
        parts.append(last)
    pool = b.Pool(None, last.shape, last.shape[1:], payload_max=levels)
    flat = b.Flatten(pool.shape, pool.payload_max)
    parts += [pool, flat, b.Output(width, 10)]
    _export(torch.nn.Sequential(*parts), (3, size, size), path, timesteps)
    return {"seconds": []}


def _seed() -> None:
    import torch

    torch.manual_seed(0)


def _export(model: Any, shape: tuple[int, ...], path: str, timesteps: int | None = None) -> None:
    """Give BatchNorm its statistics, then write the integers."""
    import torch

    from netx_export import to_spec, write

    model.train()
    with torch.no_grad():
        for _ in range(6):
            x = torch.rand(32, *shape)
            if timesteps is not None:  # bare blocks take time as their last axis
                x = x.unsqueeze(-1).expand(*x.shape, timesteps)
            model(x)
    model.eval()
    write(to_spec(model, timesteps), Path(path))
