"""Training blocks in SLAYER's conventions on a pure torch neuron.

Tensors are NC[HW]T, time last. ``block`` holds the blocks; ``precision`` switches
what ``model.eval()`` computes. lava-dl is not needed, and its own blocks can stand
in the same network.
"""

from lava_mlsnn.population import Integers, Population, Scaling, precision, set_precision
from lava_mlsnn.slayer import block

__all__ = ["Integers", "Population", "Scaling", "block", "precision", "set_precision"]
