"""A trained network's own payloads: each layer dense and by groups of channels."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import SideError
from benchmarks.sides.groups import Groups, group_density
from benchmarks.sides.timing import timed

__all__ = ["layers", "photographs"]


def photographs(count: int) -> np.ndarray:
    """Pieces of two photographs, (count, 3, 32, 32) in [0, 1]: payloads as dense as of CIFAR-10."""
    from sklearn.datasets import load_sample_images

    rng, pieces = np.random.default_rng(0), []
    images = load_sample_images().images
    for k in range(count):
        image, scale = images[k % len(images)], int(rng.integers(2, 9))
        size = 32 * scale
        top, left = (int(rng.integers(0, full - size)) for full in image.shape[:2])
        piece = image[top : top + size, left : left + size].reshape(32, scale, 32, scale, 3)
        pieces.append(piece.mean((1, 3)).transpose(2, 0, 1) / 255)
    return np.stack(pieces).astype(np.float32)


def layers(threads: int, network: str, count: int, repeats: int) -> dict:
    """Seconds a sample of every population, dense and, where it has that form, by groups.

    Equal integers, or SideError.
    """
    from benchmarks.sides.runner import runner_of
    from netx_export import read
    from netx_export.spec.encode import encode

    spec = read(Path(network))
    runner = runner_of(spec, threads)
    x = encode(spec, photographs(count))
    sent = {name: z[..., 0] for name, z in runner.trace(x).layers.items()}
    sent[spec.input.name] = x
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for index, population in spec.populations:
            sources = [sent.get(spec.layers[s].name, np.zeros(0)) for s in population.sources]
            if any(z.ndim != 4 or z.min() < 0 or z.max() > 255 for z in sources):
                continue  # flat layers
            maps = [np.ascontiguousarray(z.transpose(0, 2, 3, 1), np.uint8) for z in sources]
            dense = _dense(runner, index, maps, repeats) / count
            row: dict[str, Any] = {"layer": population.name, "dense": dense, "groups": None}
            expected = sent[population.name]
            made = _by_groups(population, maps, expected, Path(folder), repeats)
            if made is not None:
                z = maps[made[0]].transpose(0, 3, 1, 2)
                row |= {"groups": made[1] / count, "channels": z.shape[1], "size": z.shape[2]}
                row |= {"density": float((z != 0).mean()), "group_density": group_density(z)}
            found.append(row)
    return {"seconds": [sum(row["dense"] for row in found)], "layers": found}


def _dense(runner: Any, index: int, maps: list[np.ndarray], repeats: int) -> float:
    import torch

    from netx_export.exact_settings import exact_settings

    form = runner._engine.layers[index]
    with exact_settings(), torch.inference_mode():
        tensors = [torch.from_numpy(z).permute(0, 3, 1, 2) for z in maps]
        return min(timed(lambda: form.run(tensors, 1), repeats, 2))


def _by_groups(
    population: Any, maps: list[np.ndarray], expected: np.ndarray, folder: Path, repeats: int
) -> tuple[int, float] | None:
    """Which source is the convolution's, and seconds; None where the form does not apply."""
    from netx_export.spec import Conv, Identity

    kinds = [type(s) for s in population.synapses]
    if kinds.count(Conv) != 1 or len(kinds) - kinds.count(Identity) != 1 or len(kinds) > 2:
        return None
    conv = kinds.index(Conv)
    shortcut = maps[1 - conv] if len(kinds) == 2 else None
    source = (maps[conv].shape[3], *maps[conv].shape[1:3])
    try:
        form = Groups(population, source, folder)
    except SideError:
        return None
    z = form.empty(len(maps[conv]))
    call = partial(form, maps[conv], shortcut, z)
    call()
    if not np.array_equal(z.transpose(0, 3, 1, 2), expected):
        raise SideError(f"layer {population.name} by groups gives other integers")
    return conv, min(timed(call, repeats, 1))
