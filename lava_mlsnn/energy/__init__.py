"""What a network would cost: an analytical model, memory accesses included."""

from lava_mlsnn.energy.constants import Constant, Constants, read_constants
from lava_mlsnn.energy.design import Design
from lava_mlsnn.energy.model import ann_energy, energies, snn_energy, zero_skip_energy
from lava_mlsnn.energy.published import published_vgg16
from lava_mlsnn.energy.result import Energy, LayerEnergy, Term
from lava_mlsnn.energy.structure import Structure, structure

__all__ = [
    "Constant",
    "Constants",
    "Design",
    "Energy",
    "LayerEnergy",
    "Structure",
    "Term",
    "ann_energy",
    "energies",
    "published_vgg16",
    "read_constants",
    "snn_energy",
    "structure",
    "zero_skip_energy",
]
