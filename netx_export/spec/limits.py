"""How large a network may be: what a file, a program or a mistake asks for beyond is refused."""

from __future__ import annotations

import os

__all__ = [
    "MAX_ALL_NEURONS",
    "MAX_ALL_WEIGHTS",
    "MAX_LAYERS",
    "MAX_NEURONS",
    "MAX_TIMESTEPS",
    "MAX_WEIGHTS",
    "memory",
]

MAX_LAYERS = 10_000
MAX_NEURONS = 1 << 26  # of one layer, padding included
MAX_ALL_NEURONS = 1 << 28  # of all layers together
MAX_WEIGHTS = 1 << 28  # of one synapse
MAX_ALL_WEIGHTS = 1 << 28  # of all synapses together: 1 GiB as int32
MAX_TIMESTEPS = 1 << 16  # T of one sample


def memory() -> int:
    """Bytes of memory that this machine has; 2**40 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 1 << 40
