"""Spiking networks of SpikingJelly, snnTorch and sinabs as integer networks.

:func:`from_spiking` gives the network, :func:`on_grid` the same one in their library.
"""

from lava_mlsnn.foreign.network import from_spiking, on_grid

__all__ = ["from_spiking", "on_grid"]
