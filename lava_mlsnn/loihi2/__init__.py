"""Loihi 2 as far as public knowledge reaches; nothing here has run on silicon.

Neuron programs as a specification with an interpreter, what a network asks of the
neuro-cores, and whether it fits. Needs neither Lava nor torch. ``docs/loihi2.md`` says
what was verified and what was not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lava_mlsnn.loihi2.fit.limits import Limits as Limits
    from lava_mlsnn.loihi2.fit.limits import limits_for as limits_for
    from lava_mlsnn.loihi2.fit.mapping_file import write_mapping as write_mapping
    from lava_mlsnn.loihi2.fit.report import Preflight as Preflight
    from lava_mlsnn.loihi2.fit.report import preflight as preflight
    from lava_mlsnn.loihi2.program.instructions import Program as Program
    from lava_mlsnn.loihi2.program.interpreter import execute as execute
    from lava_mlsnn.loihi2.program.neuron import multilevel_program as multilevel_program
    from lava_mlsnn.loihi2.program.neuron import readout_program as readout_program
    from lava_mlsnn.loihi2.program.programs import allocations_of as allocations_of
    from lava_mlsnn.loihi2.program.programs import programs_of as programs_of
    from lava_mlsnn.loihi2.program.proof import prove as prove

_HOMES = {
    "Limits": "fit.limits",
    "Preflight": "fit.report",
    "Program": "program.instructions",
    "allocations_of": "program.programs",
    "execute": "program.interpreter",
    "limits_for": "fit.limits",
    "multilevel_program": "program.neuron",
    "preflight": "fit.report",
    "programs_of": "program.programs",
    "prove": "program.proof",
    "readout_program": "program.neuron",
    "write_mapping": "fit.mapping_file",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
