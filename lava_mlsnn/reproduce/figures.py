"""The plots of the report, as PNG bytes."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING

from lava_mlsnn.reproduce.judge import mean, spread
from lava_mlsnn.reproduce.trial import Experiment, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PLOTS", "draw"]

ENERGIES = {
    "snn-mac": "SNN, multiply-accumulate",
    "snn-adds": "SNN, additions",
    "snn-burst": "SNN, a message per level",
    "zero-skip": "zero-skipping ANN",
    "ann": "dense ANN",
}
LONG = 40  # characters of a label that needs a line of its own
COUNTS = {"into_synapses": "into synapses", "block_outputs": "block outputs", "all": "all"}


def _labels(experiment: Experiment, results: Results) -> list[tuple[str, str]]:
    return [(g.name, g.label) for g in experiment.groups if results.get(g.name)]


def _rows(axes: Axes, labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def _accuracy(axes: Axes, experiment: Experiment, results: Results) -> None:
    rows = _labels(experiment, results)
    for y, (name, _) in enumerate(rows):
        records = results[name]
        centre = 100 * mean(records, "accuracy.integer")
        axes.errorbar(
            centre, y, xerr=100 * spread(records, "accuracy.integer"), fmt="o", color="C0"
        )
        axes.plot(100 * mean(records, "accuracy.float"), y, "x", color="C1")
        for record in records:
            axes.plot(100 * record["accuracy"]["integer"], y, ".", color="C0", alpha=0.35)
    axes.plot([], [], "o", color="C0", label="exported integers (mean, deviation, seeds)")
    axes.plot([], [], "x", color="C1", label="float weights")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=2)
    _rows(axes, [label for _, label in rows])
    axes.set_xlabel("test accuracy, %")


def _bars(
    axes: Axes, experiment: Experiment, results: Results, paths: dict[str, str], title: str
) -> None:
    rows = _labels(experiment, results)
    height = 0.8 / len(paths)
    for k, (path, label) in enumerate(paths.items()):
        values = [mean(results[name], path) for name, _ in rows]
        at = [y - 0.4 + (k + 0.5) * height for y in range(len(rows))]
        axes.barh(at, values, height, label=label)
    columns = 3 if len(paths) < 4 else 2  # more would not fit
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=columns)
    _rows(axes, [label for _, label in rows])
    axes.set_xlabel(title)


def _energy(axes: Axes, experiment: Experiment, results: Results) -> None:
    paths = {f"energy_nj.{name}": label for name, label in ENERGIES.items()}
    _bars(axes, experiment, results, paths, "nJ per sample (analytical model)")


def _events(axes: Axes, experiment: Experiment, results: Results) -> None:
    paths = {f"activity.{name}.events": label for name, label in COUNTS.items()}
    _bars(axes, experiment, results, paths, "events per sample")


def _density(axes: Axes, experiment: Experiment, results: Results) -> None:
    for name, label in _labels(experiment, results):
        records = results[name]
        blocks = range(len(records[0]["activity"]["blocks"]))
        heights = [
            statistics.fmean(r["activity"]["blocks"][b]["density"] for r in records) for b in blocks
        ]
        stages = [records[0]["activity"]["blocks"][b]["stage"] for b in blocks]
        parts: dict[int, list[int]] = {}
        for b, stage in zip(blocks, stages, strict=True):
            parts.setdefault(stage, []).append(b)
        (line,) = axes.plot([], [], "o-", label=label, markersize=3)
        for part in parts.values():  # a new stage is another shape: no line across
            axes.plot(
                [b + 1 for b in part], [heights[b] for b in part], "o-", color=line.get_color(),
                markersize=3,
            )  # fmt: skip
    longest = max(len(label) for _, label in _labels(experiment, results))
    columns = 3 if longest < LONG else 1
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
    axes.legend(**place, frameon=False, ncols=columns, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel="block", ylabel="density of its output", ylim=(0, None))


PLOTS: dict[str, Callable[[Axes, Experiment, Results], None]] = {
    "accuracy": _accuracy,
    "energy": _energy,
    "events": _events,
    "density": _density,
}


def draw(plot: str, experiment: Experiment, results: Results) -> bytes:
    """A plot of an experiment's complete groups."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = [label for _, label in _labels(experiment, results)]
    rows, longest = len(labels), max(len(label) for label in labels)
    tall = 1.4 + 0.42 * rows * (1 if plot == "accuracy" else 1.3)
    wide = 6 + 0.075 * longest
    if plot == "density":
        tall, wide = 4.2 + (0.18 * rows if longest >= LONG else 0), 8.5
    figure = Figure(figsize=(wide, tall), layout="constrained")
    FigureCanvasAgg(figure)
    PLOTS[plot](figure.add_subplot(), experiment, results)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()
