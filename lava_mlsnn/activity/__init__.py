"""How active a network is: events, payload and synaptic operations, on every side alike."""

from lava_mlsnn.activity.meter import ActivityMeter, measure
from lava_mlsnn.activity.record import Activity, Block, Count, LayerActivity, SynapseActivity

__all__ = [
    "Activity",
    "ActivityMeter",
    "Block",
    "Count",
    "LayerActivity",
    "SynapseActivity",
    "measure",
]
