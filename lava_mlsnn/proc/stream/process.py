"""Numbers into and out of a Lava network, without Lava's element-wise Var transfer.

``Var.get()`` sends an array value by value through two operating-system
processes; a recorded layer would take longer to fetch than to compute. Lava
starts its processes by fork, so an anonymous shared mapping made before the
start is one memory for the script and the model.
"""

from __future__ import annotations

import mmap
from math import prod
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort

from lava_mlsnn.checks import check_whole
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.proc.base import CheckedProcess, number_array, positive_shape
from netx_export.spec.widths import STATE_MAX


def shared_array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of zeros that this process and the ones it forks share."""
    count = prod(shape)
    size = max(1, count * np.dtype(dtype).itemsize)
    try:
        memory = mmap.mmap(-1, size)
    except (OSError, OverflowError):
        raise ConfigError(
            f"an array of shape {shape} needs {size >> 20} MiB, more than there is; "
            "take fewer steps"
        ) from None
    return np.frombuffer(memory, dtype, count).reshape(shape)


class Stream(CheckedProcess):
    """Source: sends ``data[(t - 1) // repeat]`` at timestep t, then zeros.

    Parameters
    ----------
    data : ndarray, (items, *shape)
        Time first, layout as on Lava's ports.
    repeat : int, optional
        Timesteps that each item is held.
    """

    def __init__(self, *, data: np.ndarray, repeat: int = 1) -> None:
        data = number_array("data", data)
        repeat = check_whole("repeat", repeat, 1, STATE_MAX)
        if data.ndim < 2:
            raise ConfigError(f"a stream needs data of shape (items, ...), got {data.shape}")
        super().__init__(data=data, repeat=repeat)
        self.s_out = OutPort(shape=data.shape[1:])


class Record(CheckedProcess):
    """Sink: keeps what arrives in timesteps ``start + 1 .. start + steps``.

    Parameters
    ----------
    shape : tuple of int
        Shape of the port.
    steps : int
        Timesteps to keep.
    start : int, optional
        Timesteps to leave out first (a layer's latency).
    dtype : optional
        int32 holds every 24-bit payload; float64 for floating-point models.

    Attributes
    ----------
    data : ndarray, (steps, *shape)
        Readable at any time, also while the network runs.
    done : int
        Timesteps seen so far, the left-out ones included.
    """

    def __init__(
        self, *, shape: tuple[int, ...], steps: int, start: int = 0, dtype: Any = np.int32
    ) -> None:
        shape = positive_shape(shape)
        steps = check_whole("steps", steps, 0, 1 << 40)
        start = check_whole("start", start, 0, 1 << 40)
        data = shared_array((steps, *shape), dtype)
        clock = shared_array((1,), np.int64)
        super().__init__(data=data, clock=clock, start=start)
        self.data = data
        self._clock = clock
        self.a_in = InPort(shape=shape)

    @property
    def done(self) -> int:
        """Timesteps seen so far."""
        return int(self._clock[0])
