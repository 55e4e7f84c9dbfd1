"""From a trained float network to a multi-level network: thresholds by calibration data."""

from lava_mlsnn.conversion.convert import convert
from lava_mlsnn.conversion.network import ConvertedNetwork

__all__ = ["ConvertedNetwork", "convert"]
