"""Training blocks in SLAYER's conventions; they need torch, not lava-dl."""

from lava_mlsnn.slayer.block.base import Block, PopulationBlock
from lava_mlsnn.slayer.block.conv import Conv, ConvT
from lava_mlsnn.slayer.block.dense import Dense
from lava_mlsnn.slayer.block.flatten import Flatten
from lava_mlsnn.slayer.block.input import Input
from lava_mlsnn.slayer.block.max_pool import MaxPool
from lava_mlsnn.slayer.block.output import Affine, Average, Output
from lava_mlsnn.slayer.block.pool import Pool
from lava_mlsnn.slayer.block.residual import BARRIERS, Residual
from lava_mlsnn.slayer.block.stream import Stream, StreamEnd

__all__ = [
    "BARRIERS",
    "Affine",
    "Average",
    "Block",
    "Conv",
    "ConvT",
    "Dense",
    "Flatten",
    "Input",
    "MaxPool",
    "Output",
    "Pool",
    "PopulationBlock",
    "Residual",
    "Stream",
    "StreamEnd",
]
