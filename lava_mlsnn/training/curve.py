"""The picture of a training: accuracy, loss, and what the layers send, epoch by epoch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curve"]


def draw_curve(records: Sequence[dict[str, Any]]) -> bytes:
    """A PNG of the epochs of a log, see :class:`lava_mlsnn.training.log.TrainingLog`."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"text.parse_math": False}):
        figure = Figure(figsize=(7, 8), layout="constrained")
        FigureCanvasAgg(figure)
        rows = figure.subplots(3, 1, sharex=True)
        _accuracy(rows[0], records)
        _loss(rows[1], records)
        _activity(rows[2], records)
        for axes in rows:
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.3)
        rows[2].set_xlabel("epoch")
        rows[2].xaxis.get_major_locator().set_params(integer=True)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=100)
        return out.getvalue()


def _series(records: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Epochs in which a value was measured, and the values."""
    there = [r for r in records if r.get(name) is not None]
    return [r["epoch"] for r in there], [r[name] for r in there]


def _plot(axes: Axes, x: Sequence[int], y: Sequence[float], label: str, **style: Any) -> None:
    """A line; a single epoch is a dot."""
    axes.plot(x, y, marker="o" if len(x) == 1 else "", label=label, **style)


def _accuracy(axes: Axes, records: Sequence[dict[str, Any]]) -> None:
    for name, label, style in (
        ("accuracy", "training batches, as augmented", "C0-"),
        ("validation_accuracy", "validation, exported integers", "C1-"),
        ("relu_accuracy", "ReLUs, training batches", "C0:"),
        ("relu_validation_accuracy", "ReLUs, validation, floats", "C1:"),
    ):
        epochs, values = _series(records, name)
        if epochs:
            color, line = style[:2], style[2:]
            _plot(axes, epochs, [100 * v for v in values], label, color=color, linestyle=line)
    epochs, values = _series(records, "validation_accuracy")
    if epochs:
        best = max(zip(values, epochs, strict=True))
        text = f"best: {100 * best[0]:.2f} % in epoch {best[1]}"
        axes.plot(best[1], 100 * best[0], "o", color="C1", label=text)
    axes.set_ylabel("accuracy, %")
    if records:
        axes.legend(frameon=False, fontsize="small")


def _loss(axes: Axes, records: Sequence[dict[str, Any]]) -> None:
    _plot(axes, *_series(records, "loss"), "loss")
    axes.set_ylabel("loss")
    other = axes.twinx()
    _plot(other, *_series(records, "lr"), "learning rate", color="C7", linestyle=":")
    other.set_ylabel("learning rate (dotted)")
    other.spines["top"].set_visible(False)


def _activity(axes: Axes, records: Sequence[dict[str, Any]]) -> None:
    spiking = [r for r in records if r["layers"]]
    epochs = [r["epoch"] for r in spiking]
    layers = [list(r["layers"].values()) for r in spiking]
    _plot(axes, epochs, [r["events"] for r in spiking], "events per sample")
    axes.set(ylabel="events per sample", ylim=(0, None))
    other = axes.twinx()
    highest = [100 * max(x["saturated"] for x in some) for some in layers]
    channels = sum(x["channels"] for x in layers[0]) if layers else 1
    dead = [100 * sum(x["dead"] for x in some) / channels for some in layers]
    _plot(other, epochs, highest, "saturated messages, fullest layer", color="C3", linestyle="--")
    _plot(other, epochs, dead, "dead channels", color="C7", linestyle=":")
    other.set(ylabel="%", ylim=(0, None))
    other.spines["top"].set_visible(False)
    lines = [*axes.lines, *other.lines]
    axes.legend(
        lines, [str(x.get_label()) for x in lines], loc="lower left", bbox_to_anchor=(0, 1),
        ncols=3, frameon=False, fontsize="small",
    )  # fmt: skip
