"""How large a network may be: what a file, a program or a mistake asks for beyond is refused."""

from __future__ import annotations

__all__ = [
    "MAX_ALL_NEURONS",
    "MAX_ALL_WEIGHTS",
    "MAX_LAYERS",
    "MAX_NEURONS",
    "MAX_TIMESTEPS",
    "MAX_WEIGHTS",
]

MAX_LAYERS = 10_000
MAX_NEURONS = 1 << 26  # of one layer, padding included
MAX_ALL_NEURONS = 1 << 28  # of all layers together
MAX_WEIGHTS = 1 << 28  # of one synapse
MAX_ALL_WEIGHTS = 1 << 28  # of all synapses together: 1 GiB as int32
MAX_TIMESTEPS = 1 << 16  # T of one sample
