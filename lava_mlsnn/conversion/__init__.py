"""From a trained float network to a multi-level network: thresholds by calibration data."""

from lava_mlsnn.conversion.convert import convert
from lava_mlsnn.conversion.network import ConvertedNetwork
from lava_mlsnn.conversion.plot import save_errors
from lava_mlsnn.conversion.report import ErrorReport, LayerError, layer_errors

__all__ = [
    "ConvertedNetwork",
    "ErrorReport",
    "LayerError",
    "convert",
    "layer_errors",
    "save_errors",
]
