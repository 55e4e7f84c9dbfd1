"""``mlsnn demo``: the whole line, from digits to integers that agree."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from lava_mlsnn.checks import lava_needs
from lava_mlsnn.cli.console import Console, Failed
from lava_mlsnn.cli.data import said
from lava_mlsnn.cli.file import provenance
from lava_mlsnn.cli.train import CHECKPOINT
from lava_mlsnn.data import Dataset, load_dataset
from lava_mlsnn.errors import ConfigError, FormatError
from lava_mlsnn.export import export_model
from lava_mlsnn.models import ModelConfig, MultiLevelNetwork
from lava_mlsnn.parity import check_parity
from lava_mlsnn.plots import save_figure
from lava_mlsnn.report import collect, report_page
from lava_mlsnn.training.checkpoint import load_checkpoint
from lava_mlsnn.training.config import TrainConfig
from lava_mlsnn.training.loop import accuracy, train
from netx_export import read
from netx_export.file.atomic import make_folder, write_atomic

__all__ = ["run_demo"]


def run_demo(
    console: Console,
    out: Path,
    network: dict[str, Any],
    recipe: TrainConfig,
    *,
    lava_samples: int,
    fresh: bool,
) -> None:
    """Train, export, run, compare, draw, summarise."""
    start = time.perf_counter()
    make_folder(out)
    dataset = load_dataset("digits")
    config = ModelConfig(
        input_shape=dataset.shape,
        classes=len(dataset.classes),
        input_levels=dataset.input_levels,
        **network,
    )
    console.say(
        f"1/5 train {config.arch} on {len(dataset.x_train)} digits: N = {config.levels}, "
        f"T = {config.timesteps}, {config.barrier} barrier, {recipe.epochs} epochs"
    )
    checkpoint = out / CHECKPOINT
    if fresh:
        checkpoint.unlink(missing_ok=True)
    model = _train(console, config, dataset, recipe, checkpoint)
    trained = time.perf_counter() - start
    floating = accuracy(model, dataset.x_test, dataset.y_test, "float")
    console.say(f"    {trained:.0f} s; test accuracy in float {100 * floating:.2f} %")

    file = out / "demo.net"
    export_model(model, file, provenance=provenance(load_checkpoint(checkpoint)))
    spec = read(file)  # from here on, only what the file says
    console.say(f"2/5 export {file}: {len(spec.populations)} layers, {file.stat().st_size} bytes")

    console.say(f"3/5 run all {len(dataset.x_test)} test digits in the integer runner")
    with console.progress("running digits") as follow:
        run = collect(spec, dataset.x_test, dataset.y_test, follow)
    integer, activity = run.accuracy, run.activity
    console.say(
        f"    accuracy {100 * integer:.2f} %, {activity.events_per_neuron:.3f} events per neuron"
    )

    n = min(lava_samples, len(dataset.x_test))
    if n and (needs := lava_needs()):
        console.say(f"    the run in Lava is left out: it needs {needs}")
        n = 0
    sides = f"training, runner and Lava ({n} digits, drawn over all classes)"
    console.say(f"4/5 compare {sides if n else 'training and runner'}, integer by integer")
    with console.progress("comparing") as follow:
        report = check_parity(
            spec,
            dataset.x_test,
            model=model,
            lava_samples=n,
            labels=dataset.y_test,
            progress=lambda side, done, total: follow(done, total),
        )
    console.say(*f"    {report}".split("\n"))

    image = out / "activity.png"
    save_figure(
        image,
        run.x[run.shown],
        run.layers,
        activity.hidden,
        run.scores[run.shown],
        f"{config.arch}, N = {config.levels}, T = {config.timesteps}: one test digit (left), "
        f"mean of {len(dataset.x_test)} (right)",
    )
    page = out / "report.html"
    html = report_page(
        spec, run, title="mlsnn demo", data=f"all {len(run.y)} test digits", file=file,
        parity=report,
    )  # fmt: skip
    write_atomic(page, html.encode())
    summary: dict[str, Any] = {
        "accuracy_float": floating,
        "accuracy_integer": integer,
        "samples_runner": len(dataset.x_test),
        "samples_lava": n,
        "differences": report.count,
        "integers_compared": report.compared,
        "events_per_neuron": activity.events_per_neuron,
        "seconds": round(time.perf_counter() - start, 1),
        "seconds_training": round(trained, 1),
        "file": str(file),
        "picture": str(image),
        "report": str(page),
        "config": config.to_dict(),
        "activity": activity.to_dict(),
        "parity": report.to_dict(),
    }
    write_atomic(out / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())
    console.say(f"5/5 wrote {page}, {image.name}, summary.json ({summary['seconds']:.0f} s in all)")
    console.result(summary)
    if report.count:
        raise Failed


def _train(
    console: Console, config: Any, dataset: Dataset, recipe: Any, checkpoint: Path
) -> MultiLevelNetwork:
    went_on = checkpoint.exists()
    with said(console), console.progress("training epochs") as follow:
        try:
            return train(
                config,
                dataset,
                recipe,
                checkpoint=checkpoint,
                resume=True,
                threads=1,
                report=lambda epoch: follow(epoch.epoch, epoch.epochs),
            )
        except (ConfigError, FormatError) as error:
            if went_on:
                error.message += " (or add --fresh)"
            raise
