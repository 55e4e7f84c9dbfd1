"""Loihi 2 as far as public knowledge reaches; nothing here has run on silicon.

Neuron programs as a specification with an interpreter, what a network asks of the
neuro-cores, and whether it fits. Needs neither Lava nor torch. ``docs/loihi2.md`` says
what was verified and what was not.
"""

from lava_mlsnn.loihi2.fit.limits import Limits, limits_for
from lava_mlsnn.loihi2.fit.mapping_file import write_mapping
from lava_mlsnn.loihi2.fit.preflight import Preflight, preflight
from lava_mlsnn.loihi2.program.instructions import Program
from lava_mlsnn.loihi2.program.interpreter import execute
from lava_mlsnn.loihi2.program.neuron import multilevel_program, readout_program
from lava_mlsnn.loihi2.program.programs import allocations_of, programs_of
from lava_mlsnn.loihi2.program.proof import prove

__all__ = [
    "Limits",
    "Preflight",
    "Program",
    "allocations_of",
    "execute",
    "limits_for",
    "multilevel_program",
    "preflight",
    "programs_of",
    "prove",
    "readout_program",
    "write_mapping",
]
