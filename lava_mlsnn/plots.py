"""The picture of a run: activity per layer, and the payloads of one sample."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lava_mlsnn.activity.record import LayerActivity
from netx_export.file.atomic import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["save_figure"]

RASTER_WIDTH = 128  # neurons in one row of the raster


def save_figure(
    path: Path,
    image: np.ndarray,
    layers: dict[str, np.ndarray],
    activities: Sequence[LayerActivity],
    scores: np.ndarray,
    title: str,
) -> None:
    """Write a PNG; whole or not at all.

    Parameters
    ----------
    path : Path
        File to write.
    image : ndarray, (C, H, W)
        The sample that is shown.
    layers : dict of str to ndarray
        Payloads of that sample, (..., T) per layer.
    activities : sequence of LayerActivity
        Averages over all samples, of the layers to show.
    scores : ndarray, (classes,)
        Output of that sample.
    title : str
        Above the picture.
    """
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):  # a name with two $ is no formula
        _write(path, _figure(image, layers, activities, scores, title))


def _figure(
    image: np.ndarray,
    layers: dict[str, np.ndarray],
    activities: Sequence[LayerActivity],
    scores: np.ndarray,
    title: str,
) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    grid = figure.add_gridspec(2, 3, width_ratios=(1, 2.2, 2.2))
    axes = figure.add_subplot(grid[0, 0])
    shown = image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1).clip(0, 1)
    axes.imshow(shown, cmap="gray_r" if image.shape[0] == 1 else None)
    axes.set(title="sample", xticks=[], yticks=[])
    axes = figure.add_subplot(grid[1, 0])
    best = int(np.argmax(scores))
    colours = ["tab:orange" if i == best else "tab:blue" for i in range(len(scores))]
    axes.barh(range(len(scores)), scores, color=colours)
    axes.set(title="output (integer)", ylabel="class", yticks=range(len(scores)))
    axes.invert_yaxis()
    _raster(figure.add_subplot(grid[:, 1]), layers, activities)
    axes = figure.add_subplot(grid[:, 2])
    names = [a.layer for a in activities]
    axes.barh(names, [a.events_per_neuron for a in activities], label="events")
    axes.barh(
        names,
        [a.payload / a.neurons for a in activities],
        fill=False,
        edgecolor="tab:red",
        label="payload",
    )
    axes.invert_yaxis()
    axes.set(title="per neuron and sample, mean", xlim=(0, None))
    axes.tick_params(axis="y", labelsize=7)
    axes.legend(loc="lower right")
    return figure


def _raster(axes: Axes, layers: dict[str, np.ndarray], activities: Sequence[LayerActivity]) -> None:
    """Payloads of one sample: a band of T rows per layer, its neurons folded to one width."""
    names = [item.layer for item in activities]
    bands = []
    for name in names:
        values = layers[name].reshape(-1, layers[name].shape[-1]).T.astype(float)
        rows = -(-values.shape[1] // RASTER_WIDTH)
        band = np.full((values.shape[0], rows * RASTER_WIDTH), np.nan)
        band[:, : values.shape[1]] = values
        bands.append(band.reshape(-1, RASTER_WIDTH))
    gap = np.full((2, RASTER_WIDTH), np.nan)
    stacked, ticks, at = [], [], 0
    for band in bands:
        stacked += [band, gap]
        ticks.append(at + len(band) / 2 - 0.5)
        at += len(band) + len(gap)
    image = axes.imshow(
        np.concatenate(stacked[:-1]), aspect="auto", interpolation="nearest", cmap="viridis"
    )
    axes.set(title="payload of every neuron for the sample", xticks=[])
    axes.set_yticks(ticks, names, fontsize=7)
    axes.figure.colorbar(image, ax=axes, shrink=0.6, location="bottom")


def _write(path: Path, figure: Figure) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomic(path, buffer.getvalue())
