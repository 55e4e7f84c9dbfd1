"""A page on one network: what it does, sample by sample and layer by layer."""

from lava_mlsnn.report.collect import Run, collect
from lava_mlsnn.report.page import report_page

__all__ = ["Run", "collect", "report_page"]
