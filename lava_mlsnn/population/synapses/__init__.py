"""Synapses of the training blocks: each kind answers for its shape, sum and form in a file."""

from lava_mlsnn.population.synapses.base import Hook, Shape, Statistics, Synapse, pair
from lava_mlsnn.population.synapses.conv import ConvSynapse, ConvTSynapse
from lava_mlsnn.population.synapses.dense import DenseSynapse
from lava_mlsnn.population.synapses.fixed import IdentitySynapse, PickSynapse
from lava_mlsnn.population.synapses.sums import GroupSynapse, PoolSynapse

__all__ = [
    "ConvSynapse",
    "ConvTSynapse",
    "DenseSynapse",
    "GroupSynapse",
    "Hook",
    "IdentitySynapse",
    "PickSynapse",
    "PoolSynapse",
    "Shape",
    "Statistics",
    "Synapse",
    "pair",
]
