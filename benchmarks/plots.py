"""The plots: cost over size, and dense against event by event over density."""

from __future__ import annotations

import io
from typing import Any

__all__ = ["scaling_plot", "sparsity_plot"]

TRAINED = (0.02, 0.5)  # of most layers; the first ones are denser


def scaling_plot(curves: dict[str, Any]) -> bytes:
    """PNG with one log-log panel an axis, each with a linear reference from its last point."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(curves), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (name, curve) in zip(panels, curves.items(), strict=True):
        x, seconds = curve["x"], curve["seconds"]
        axes.loglog(x, seconds, "o-", label="integer runner")
        reference = [seconds[-1] * value / x[-1] for value in x]
        axes.loglog(x, reference, "--", color="gray", label="linear")
        axes.set(title=f"{name}: slope {curve['slope']:.2f}", xlabel=curve["label"])
        axes.grid(True, which="both", alpha=0.3)
    panels[0].set_ylabel("seconds")
    panels[0].legend()
    return _png(figure)


def sparsity_plot(curves: dict[str, Any]) -> bytes:
    """PNG with one log-log panel a layer: time over the share of payloads that are not 0."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * len(curves), 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (name, curve) in zip(panels, curves.items(), strict=True):
        axes.loglog(curve["x"], curve["dense"], "o-", label="dense, 8 bits")
        axes.loglog(curve["x"], curve["events"], "s-", label="event by event")
        if "groups" in curve:
            axes.loglog(curve["x"], curve["groups"], "^-", label="groups of 4 channels")
        axes.axvspan(*TRAINED, color="gray", alpha=0.2, label="payloads of trained networks")
        axes.set(title=name, xlabel="density of payloads")
        axes.grid(True, which="both", alpha=0.3)
    panels[0].set_ylabel("seconds a sample")
    named = panels[-1].get_legend_handles_labels()  # the first panel has not every form
    figure.legend(*named, loc="outside lower center", ncols=4)
    return _png(figure)


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()
