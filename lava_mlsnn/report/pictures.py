"""The pictures of a report, as PNG bytes; letters are readable on a phone's width."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_mlsnn.activity import Activity
from lava_mlsnn.report.collect import Levels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["activity", "confusion", "feature_maps", "level_shares", "membrane_traces", "picture"]

WIDTH, DPI = 4.2, 160  # inches that become the width of a phone
NUMBERED = 20  # classes up to which a matrix shows its counts
MAPS, ACROSS = 16, 8  # channels of a layer that are shown, and in one row
GREY = 128


def picture(x: np.ndarray) -> bytes:
    """A sample, (C, H, W) or (F,) or with a last axis T: grey, colours, or two polarities.

    Images as they are; counts of events, most of them few, up to the largest.
    """
    x = np.asarray(x, np.float64)
    counts = x.ndim in (2, 4) or x.shape[0] == 2
    if x.ndim in (2, 4):
        x = x.mean(-1)
    if x.ndim == 1:
        x = x[None, None]
    if x.shape[0] == 2:  # polarities: red and blue
        x = np.stack([x[0], np.zeros_like(x[0]), x[1]])
    planes = x if x.shape[0] == 3 else x[:1]
    most = float(planes.max(initial=0))
    top = most or 1.0 if counts else max(1.0, most)
    values = np.rint(255 * (planes / top).clip(0, 1)).astype(np.uint8)
    return _image(values.transpose(1, 2, 0) if len(values) == 3 else values[0])


def feature_maps(z: np.ndarray, highest: int) -> bytes:
    """Payloads of one sample summed over T, (C, H, W, T) or (F, T), channel beside channel.

    The most active channels first; colours from 0 to ``highest`` a timestep.
    """
    total = np.abs(z.astype(np.int64)).sum(-1)
    if total.ndim == 1:  # neurons without a place: rows of 32
        rows = -(-len(total) // 32)
        filled = np.zeros(rows * 32, np.int64)
        filled[: len(total)] = total
        total = filled.reshape(1, rows, min(32, rows * 32))
    order = np.argsort(-total.sum((1, 2)), kind="stable")[:MAPS]
    across = min(ACROSS, len(order))
    rows = -(-len(order) // across)
    _, height, width = total.shape
    sheet = np.full((rows * (height + 1) - 1, across * (width + 1) - 1, 3), GREY, np.uint8)
    for k, channel in enumerate(order):
        y, x = (k // across) * (height + 1), (k % across) * (width + 1)
        sheet[y : y + height, x : x + width] = _colours(total[channel] / (highest * z.shape[-1]))
    return _image(sheet)


def _colours(values: np.ndarray) -> np.ndarray:
    from matplotlib import colormaps

    return colormaps["viridis"](values.clip(0, 1), bytes=True)[..., :3]


def _image(values: np.ndarray) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(values).save(out, format="png", optimize=True)
    return out.getvalue()


def _drawn(
    height: float, draw: Callable[[Any], None], rows: int = 1, heights: Sequence[float] = ()
) -> bytes:
    """A figure of one or more axes, one below another."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"text.parse_math": False, "font.size": 8}):
        figure: Figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, 1, squeeze=False, height_ratios=heights or None)[:, 0]
        draw(axes if rows > 1 else axes[0])
        for one in axes:
            one.spines[["top", "right"]].set_visible(False)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=DPI)
        return out.getvalue()


def _short(name: str, most: int = 22) -> str:
    return name if len(name) <= most else f"{name[: most - 3]}..."


def confusion(counts: np.ndarray, names: Sequence[str]) -> bytes:
    """True classes in rows, predicted ones in columns; colours by share of the row."""

    def draw(axes: Any) -> None:
        share = counts / np.maximum(1, counts.sum(1, keepdims=True))
        axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)  # the few wrong ones show
        axes.set(xlabel="predicted", ylabel="true")
        if len(names) > NUMBERED:
            return
        short = [_short(n, 12) for n in names]
        axes.set_xticks(range(len(names)), short, rotation=90 if max(map(len, short)) > 2 else 0)
        axes.set_yticks(range(len(names)), short)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if share[row, column] > 0.4 else "black"
                axes.text(
                    column, row, str(count), ha="center", va="center", color=colour,
                    fontsize=7 if len(names) <= 12 else 5,
                )  # fmt: skip

    return _drawn(WIDTH * 0.95, draw)


def level_shares(levels: dict[str, Levels]) -> bytes:
    """Of every layer the shares of messages with payload 1, 2, ... N; the rest is 0."""
    from matplotlib import colormaps

    def draw(axes: Any) -> None:
        names = list(levels)
        most = max(len(x.counts) for x in levels.values()) - 1
        left = np.zeros(len(names))
        for k in range(1, most + 1):
            part = np.array(
                [
                    100 * x.counts[k] / x.counts.sum() if k < len(x.counts) else 0.0
                    for x in levels.values()
                ]
            )
            axes.barh(
                range(len(names)), part, left=left, label=str(k),
                color=colormaps["viridis"](0.15 + 0.8 * k / most),
            )  # fmt: skip
            left += part
        axes.set_yticks(range(len(names)), [_short(n) for n in names])
        axes.invert_yaxis()
        grouped = any(x.highest > len(x.counts) - 1 for x in levels.values())
        axes.set_xlabel("messages that are not 0, %")
        axes.legend(
            title="level, in groups" if grouped else "payload", ncols=min(8, most), fontsize=7,
            loc="lower left", bbox_to_anchor=(0, 1), frameon=False, title_fontsize=7,
        )  # fmt: skip

    return _drawn(1.1 + 0.22 * len(levels), draw)


def activity(found: Activity) -> bytes:
    """Events a neuron and timestep of every layer, and along the blocks of each stage."""
    hidden, blocks = found.hidden, found.blocks

    def bars(axes: Any) -> None:
        axes.barh(range(len(hidden)), [a.density for a in hidden], color="C0")
        axes.set_yticks(range(len(hidden)), [_short(a.layer) for a in hidden])
        axes.invert_yaxis()
        axes.set(xlabel="events per neuron and timestep", xlim=(0, None))

    def draw(axes: Any) -> None:
        bars(axes[0])
        for stage in sorted({b.stage for b in blocks}):
            part = [(i, b.density) for i, b in enumerate(blocks, 1) if b.stage == stage]
            axes[1].plot(*zip(*part, strict=True), "o-", markersize=3, label=f"stage {stage}")
        top = 1.1 * max(b.density for b in blocks)
        axes[1].set(xlabel="block", ylabel="density of its output", ylim=(0, top or 1))
        axes[1].xaxis.get_major_locator().set_params(integer=True)
        axes[1].legend(frameon=False, fontsize=7, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))

    height = 0.8 + 0.22 * len(hidden)
    if len(blocks) < 3 or len(blocks) == len({b.stage for b in blocks}):
        return _drawn(height, bars)
    return _drawn(height + 1.8, draw, rows=2, heights=(height, 1.8))


def membrane_traces(traces: dict[str, tuple[np.ndarray, np.ndarray, int]]) -> bytes:
    """H of a neuron a layer in units of its threshold, and what it sends."""

    def draw(axes: Any) -> None:
        for one, (name, (h, z, vth)) in zip(np.atleast_1d(axes), traces.items(), strict=True):
            t = np.arange(1, len(h) + 1)
            one.bar(t, z, color="C1", alpha=0.6, width=0.6, label="payload")
            one.plot(t, h / vth, "o-", color="C0", markersize=3, label="membrane / threshold")
            one.axhline(1, color="C7", linewidth=0.6, linestyle="--")
            one.set_title(name, fontsize=8, loc="left")
            one.xaxis.get_major_locator().set_params(integer=True)
        last = np.atleast_1d(axes)
        last[-1].set_xlabel("timestep")
        last[0].legend(frameon=False, fontsize=7, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))

    return _drawn(0.5 + 1.2 * len(traces), draw, rows=len(traces))
