"""The paper's claims as named experiments: trained, exported, measured, reported."""

from typing import TYPE_CHECKING

from netx_export.lazy import lazy

if TYPE_CHECKING:
    from lava_mlsnn.reproduce.experiments import EXPERIMENTS as EXPERIMENTS
    from lava_mlsnn.reproduce.report import write_report as write_report
    from lava_mlsnn.reproduce.run import run_trial as run_trial
    from lava_mlsnn.reproduce.trial import Experiment as Experiment
    from lava_mlsnn.reproduce.trial import Trial as Trial

_HOMES = {
    "EXPERIMENTS": ".experiments",
    "Experiment": ".trial",
    "Trial": ".trial",
    "run_trial": ".run",
    "write_report": ".report",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(__name__, _HOMES)
