"""Synapses that sum into one group of neurons, in training: in floats, and as its integers."""

from lava_mlsnn.population.modes import precision, set_precision
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Integers, Scaling

__all__ = ["Integers", "Population", "Scaling", "precision", "set_precision"]
