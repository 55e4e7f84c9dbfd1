"""One layer event by event and by groups, in C, beside the runner's dense one."""

from __future__ import annotations

import ctypes
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import SideError
from benchmarks.sides.groups import BLOCK, Groups
from benchmarks.sides.native import compiled, pointer
from benchmarks.sides.timing import timed

__all__ = ["curve", "layer"]

LEVELS = 4


def layer(channels: int, size: int) -> Any:
    """A network of one 3 x 3 layer whose neurons fire now and then."""
    from netx_export.spec import Conv, Input, MultiLevel, NetworkSpec, Population

    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (channels, channels, 3, 3))
    vth = np.full(channels, int(60 * np.sqrt(channels * 9)))
    neuron = MultiLevel(LEVELS, vth, vth // 2)
    conv = Conv(0, weight, padding=(1, 1))
    shape = (channels, size, size)
    return NetworkSpec((Input(shape, LEVELS), Population("layer", shape, (conv,), neuron)))


def curve(
    threads: int, channels: int, size: int, count: int, densities: list[float], repeats: int
) -> dict:
    """Seconds a sample of each at each density, the same integers or SideError.

    A payload is 0, or else 1..N evenly; zeros are anywhere. ``groups`` is empty where that
    form does not apply.
    """
    from benchmarks.sides.runner import runner_of

    spec = layer(channels, size)
    neuron, synapse = spec.layers[1].neuron, spec.layers[1].synapses[0]
    runner = runner_of(spec, threads)
    weight = np.ascontiguousarray(synapse.weight.transpose(2, 3, 1, 0), np.int32)
    bias, vth = (np.ascontiguousarray(v, np.int32) for v in (neuron.v0, neuron.vth))
    sums = np.empty((size, size, channels), np.int32)
    rng = np.random.default_rng(1)
    dense, events, groups = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        function = compiled("events.c", Path(folder)).layer
        grouped = _grouped(spec, Path(folder))
        for density in densities:
            drawn = rng.integers(1, LEVELS + 1, (count, size, size, channels), np.uint8)
            x = drawn * (rng.random(drawn.shape) < density).astype(np.uint8)
            z = np.empty_like(x)
            arrays = map(pointer, (x, weight, bias, vth, z, sums))
            sizes = map(ctypes.c_int, (count, size, channels, channels, LEVELS))
            arguments = [*arrays, *sizes]
            samples = x.transpose(0, 3, 1, 2)
            expected = runner.run(samples, batch_size=count).output[..., 0]
            function(*arguments)
            if not np.array_equal(z.transpose(0, 3, 1, 2), expected):
                raise SideError(f"event by event gives other integers at density {density}")
            dense.append(min(_dense(runner, samples, repeats)) / count)
            events.append(min(timed(partial(function, *arguments), repeats, 1)) / count)
            if grouped is not None:
                call = partial(grouped, x, None, z)
                call()
                if not np.array_equal(z.transpose(0, 3, 1, 2), expected):
                    raise SideError(f"by groups gives other integers at density {density}")
                groups.append(min(timed(call, repeats, 1)) / count)
    times = {"dense": dense, "events": events, "groups": groups}
    return {"seconds": events, "x": densities, **times}


def _grouped(spec: Any, folder: Path) -> Groups | None:
    """None where a layer's outputs do not fill that form's blocks, or the machine lacks it."""
    population, source = spec.layers[1], spec.input.shape
    if population.shape[0] % BLOCK:
        return None
    try:
        form = Groups(population, source, folder)
        form(np.zeros((1, *source[1:], source[0]), np.uint8), None, form.empty(1))
    except SideError:
        return None
    return form


def _dense(runner: Any, samples: np.ndarray, repeats: int) -> list[float]:
    """The layer alone, without what brings samples into the runner."""
    return [runner.profile(samples, len(samples))["layer"] for _ in range(repeats)]
