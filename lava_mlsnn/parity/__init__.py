"""Do training, integer runner and Lava agree, integer by integer: the check."""

from lava_mlsnn.parity.check import check_parity
from lava_mlsnn.parity.report import Difference, ParityReport

__all__ = ["Difference", "ParityReport", "check_parity"]
