"""The named experiments: which networks, which recipes, which claims."""

from __future__ import annotations

from lava_mlsnn.reproduce.experiments.blocks import barriers, blocks, blocks_in_time, depth
from lava_mlsnn.reproduce.experiments.cifar10 import cifar_blocks, cifar_levels
from lava_mlsnn.reproduce.experiments.common import BARRIERS
from lava_mlsnn.reproduce.experiments.levels import bits, events, levels
from lava_mlsnn.reproduce.experiments.penalty import penalty
from lava_mlsnn.reproduce.experiments.start import avalanche, start
from lava_mlsnn.reproduce.trial import Experiment

__all__ = ["BARRIERS", "EXPERIMENTS"]

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in (
        start(),
        avalanche(),
        levels(),
        blocks(),
        blocks_in_time(),
        depth(),
        barriers(),
        bits(),
        penalty(),
        cifar_blocks(),
        cifar_levels(),
        events(),
    )
}
