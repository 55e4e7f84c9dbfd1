"""One layer event by event, in C compiled for this machine, beside the runner's dense one."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import SideError
from benchmarks.sides.timing import timed

__all__ = ["compiled", "curve", "layer"]

SOURCE = Path(__file__).with_name("events.c")
LEVELS = 4


def compiled(folder: Path) -> Any:
    """The C function; SideError where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise SideError("there is no C compiler (cc)")
    library = folder / "events.so"
    flags = ["-O3", "-march=native", "-shared", "-fPIC", "-o", str(library)]
    done = subprocess.run([compiler, *flags, str(SOURCE)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SideError(f"cc could not compile {SOURCE.name}: {done.stderr.strip()[:200]}")
    return ctypes.CDLL(str(library)).layer


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


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def curve(
    threads: int, channels: int, size: int, count: int, densities: list[float], repeats: int
) -> dict:
    """Seconds a sample of both at each density, the same integers or SideError.

    A payload is 0, or else 1..N evenly; zeros are anywhere.
    """
    from benchmarks.sides.runner import runner_of

    spec = layer(channels, size)
    neuron, synapse = spec.layers[1].neuron, spec.layers[1].synapses[0]
    runner = runner_of(spec, threads)
    weight = np.ascontiguousarray(synapse.weight.transpose(2, 3, 1, 0), np.int32)
    bias, vth = (np.ascontiguousarray(v, np.int32) for v in (neuron.v0, neuron.vth))
    sums = np.empty((size, size, channels), np.int32)
    rng = np.random.default_rng(1)
    dense, events = [], []
    with tempfile.TemporaryDirectory() as folder:
        function = compiled(Path(folder))
        for density in densities:
            drawn = rng.integers(1, LEVELS + 1, (count, size, size, channels), np.uint8)
            x = drawn * (rng.random(drawn.shape) < density).astype(np.uint8)
            z = np.empty_like(x)
            arrays = map(_pointer, (x, weight, bias, vth, z, sums))
            sizes = map(ctypes.c_int, (count, size, channels, channels, LEVELS))
            arguments = [*arrays, *sizes]
            samples = x.transpose(0, 3, 1, 2)
            expected = runner.run(samples, batch_size=count).output[..., 0]
            function(*arguments)
            if not np.array_equal(z.transpose(0, 3, 1, 2), expected):
                raise SideError(f"event by event gives other integers at density {density}")
            dense.append(min(_dense(runner, samples, repeats)) / count)
            events.append(min(timed(partial(function, *arguments), repeats, 1)) / count)
    return {"seconds": events, "x": densities, "dense": dense, "events": events}


def _dense(runner: Any, samples: np.ndarray, repeats: int) -> list[float]:
    """The layer alone, without what brings samples into the runner."""
    return [runner.profile(samples, len(samples))["layer"] for _ in range(repeats)]
