"""Synapses: each kind is one file and answers for its sums, bounds, reach and shape."""

from netx_export.spec.synapses.base import WEIGHT_EXP_RANGE, Synapse
from netx_export.spec.synapses.conv import Conv
from netx_export.spec.synapses.dense import Dense
from netx_export.spec.synapses.identity import Identity

__all__ = ["WEIGHT_EXP_RANGE", "Conv", "Dense", "Identity", "Synapse"]
