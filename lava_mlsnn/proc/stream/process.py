"""Numbers into and out of a Lava network, without Lava's element-wise Var transfer.

``Var.get()`` sends an array value by value through two operating-system
processes; a recorded layer would take longer to fetch than to compute. Lava
starts its processes by fork, so an anonymous shared mapping made before the
start is one memory for the script and the model.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.proc.base import CheckedProcess, positive_shape


def shared_array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of zeros that this process and the ones it forks share."""
    count = int(np.prod(shape))
    memory = mmap.mmap(-1, max(1, count * np.dtype(dtype).itemsize))
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
        if data.ndim < 2 or repeat < 1:
            raise ConfigError(
                f"a stream needs data of shape (items, ...) and repeat of at least 1, got "
                f"{data.shape} and {repeat}"
            )
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
