"""The picture of a report: how much every layer keeps."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path

from lava_mlsnn.conversion.report import ErrorReport
from netx_export.file.atomic import write_atomic

__all__ = ["save_errors"]


def save_errors(report: ErrorReport, path: str | os.PathLike[str]) -> None:
    """Write a PNG; whole or not at all.

    Parameters
    ----------
    report : ErrorReport
        Of :func:`lava_mlsnn.conversion.layer_errors`.
    path : str or path
        File to write.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers = report.layers
    with rc_context({"text.parse_math": False}):  # a name with two $ is no formula
        figure = Figure(figsize=(8, 1.6 + 0.28 * len(layers)), layout="constrained")
        FigureCanvasAgg(figure)
        levels, clipped = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        places = range(len(layers))
        own = [math.nan if e.own is None else e.own for e in layers]
        snr = [math.nan if e.snr is None else e.snr for e in layers]
        levels.barh(places, own, color="lightgray", label="its own rounding and clipping")
        levels.barh(places, snr, height=0.4, color="tab:blue", label="with what comes before")
        levels.set_yticks(places, [e.layer for e in layers], fontsize=7)
        levels.invert_yaxis()
        levels.set(xlabel="signal to noise (dB)", title="to mend first: the uppermost")
        levels.legend(loc="lower right", fontsize=7)
        clipped.barh(places, [100 * e.saturated for e in layers], color="tab:red")
        clipped.set(xlabel="saturated (%)")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    write_atomic(Path(path), buffer.getvalue())
