"""The errors of both packages; they are defined in :mod:`netx_export.errors`."""

from netx_export.errors import (
    CalibrationError,
    ConfigError,
    DataError,
    FormatError,
    MissingError,
    MLSNNError,
    ParityError,
    RangeError,
    RunError,
    UnsupportedLayerError,
    at,
    said,
)

__all__ = [
    "CalibrationError",
    "ConfigError",
    "DataError",
    "FormatError",
    "MLSNNError",
    "MissingError",
    "ParityError",
    "RangeError",
    "RunError",
    "UnsupportedLayerError",
    "at",
    "said",
]
