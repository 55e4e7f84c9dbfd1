"""The commands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from lava_mlsnn.backends import BACKENDS, check_dropped
from lava_mlsnn.choices import THRESHOLDS
from lava_mlsnn.cli import options as o
from lava_mlsnn.cli.console import Console, guarded
from lava_mlsnn.cli.fields import Fields, is_given, with_fields
from lava_mlsnn.models.config import ModelConfig
from lava_mlsnn.training.config import TrainConfig
from lava_mlsnn.training.recipes import RECIPES
from lava_mlsnn.zoo import network_file

__all__ = ["app"]

Values = dict[str, Any]
BATCH, LAVA_SAMPLES, SYSTEM = 64, 8, "kapoho-point"  # defaults, to see what was given

app = typer.Typer(
    name="mlsnn",
    help="Multi-level spiking networks: train, export, run, and check that every integer agrees.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(value: bool) -> None:
    if value:
        from lava_mlsnn import __version__

        print(f"mlsnn {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
@guarded
@with_fields
def demo(
    *,
    out: o.Out = Path("demo"),
    training: Annotated[Values, Fields(RECIPES["digits"], "epochs", "seed")],
    network: Annotated[Values, Fields(ModelConfig(), "levels", "timesteps", "v0", "barrier")],
    lava_samples: Annotated[
        int, typer.Option("--lava-samples", min=0, help="Test samples that also run in Lava.")
    ] = 32,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train again from the start.")] = False,
    as_json: o.Json = False,
) -> None:
    """Train on digits, export, run, run in Lava, compare, report.

    A stopped demo goes on where it was; writes demo.net, model.pt, report.html, activity.png and
    summary.json into the folder.
    """
    from lava_mlsnn.cli.demo import run_demo

    recipe = replace(RECIPES["digits"], **training)
    run_demo(Console(as_json), out, network, recipe, lava_samples=lava_samples, fresh=fresh)


@app.command()
@guarded
@with_fields
def train(
    context: typer.Context,
    *,
    out: o.Out = Path("runs/train"),
    data: o.Data = "digits",
    data_root: o.DataRoot = None,
    download: o.Download = False,
    resize: o.Resize = None,
    crop: o.Crop = False,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Start from the weights of a training (its folder, model.pt or best.pt), with a "
            "schedule of its own: to train longer, or on other data.",
        ),
    ] = None,
    network: Annotated[Values, Fields(ModelConfig())],
    recipe: Annotated[
        str,
        typer.Option("--recipe", help=f"Where the other values come from: {', '.join(RECIPES)}."),
    ] = "plain",
    training: Annotated[Values, Fields(TrainConfig)],
    teacher: Annotated[
        Path | None, typer.Option("--teacher", help="model.pt of a network to learn from.")
    ] = None,
    validation: Annotated[
        float,
        typer.Option(
            help="Share of the training samples to hold out and to measure on after every epoch; "
            "0: train on all.  [default: 0.1; 0<=x<1]",
            show_default=False,
        ),
    ] = 0.1,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", min=0, help="CPU threads (0: all); left out: the fastest, measured."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the folder's model.pt.")
    ] = False,
    as_json: o.Json = False,
) -> None:
    """Train a network.

    After every epoch the folder holds model.pt, best.pt (best by validation) and log.jsonl, and
    curve.png is drawn; a stopped training goes on with --resume. Options of training that are
    left out come from the recipe ("plain": 60 epochs of AdamW).
    """
    from lava_mlsnn.cli.train import Plan, run_train
    from lava_mlsnn.training import recipes

    ModelConfig.from_dict(network)  # complain before reading a large dataset
    if teacher and training["distil"] is None:
        training["distil"] = 0.5
    config = recipes.recipe(recipe, **training)
    given = {name: value for name, value in network.items() if is_given(context, name)}
    options = {name: value for name, value in training.items() if value is not None}
    plan = Plan(
        out, data, data_root, download, o.fit_of(resize, crop), given, options, config, start,
        teacher, validation, device, resume, threads,
    )  # fmt: skip
    run_train(Console(as_json), plan)


@app.command()
@guarded
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="FILE.py:FACTORY, a function or class without arguments that makes the network. "
            "The file is run: name only one that you trust.",
            metavar="FILE.py:FACTORY",
        ),
    ],
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="File of its state_dict; only numbers are loaded."),
    ] = None,
    data: o.Data = "digits",
    data_root: o.DataRoot = None,
    download: o.Download = False,
    resize: o.Resize = None,
    crop: o.Crop = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("network.net"),
    levels: Annotated[
        int, typer.Option("--levels", "-N", min=1, help="Largest payload of a spike.")
    ] = 4,
    timesteps: Annotated[
        int, typer.Option("--timesteps", "-T", min=1, help="Timesteps of a sample.")
    ] = 1,
    threshold: Annotated[
        str, typer.Option("--threshold", help=f"How it is found: {', '.join(THRESHOLDS)}.")
    ] = THRESHOLDS[0],
    percentile: Annotated[
        float, typer.Option("--percentile", help="Of the activations of a channel.")
    ] = 99.9,
    calibration: Annotated[
        int, typer.Option("--calibration", min=2, help="Training samples to calibrate with.")
    ] = 512,
    samples: o.Samples = 0,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="PNG of the error of every layer.")
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Convert a trained float network of torch to integers.

    Writes a NetX file. Without training: thresholds come from training samples, and what every
    layer loses is listed. FILE.py is Python code of yours, and is run.
    """
    from lava_mlsnn.cli.convert import Job, run_convert

    job = Job(
        source, weights, data, data_root, download, o.fit_of(resize, crop), out, levels,
        timesteps, threshold, percentile, calibration, samples, plot,
    )  # fmt: skip
    run_convert(Console(as_json), job)


@app.command()
@guarded
def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            parser=network_file,
            help="model.pt of 'mlsnn train', or its folder; with another --to a network file or "
            "zoo:NAME, too.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write (default: network.<format>).")
    ] = None,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="net: a NetX file of integers; onnx: an ONNX model; onnx-int8: in 8 bits "
            "(T = 1); qonnx: for FPGAs (T = 1); "
            "nir: binary networks at T = 1.",
        ),
    ] = "net",
    as_json: o.Json = False,
) -> None:
    """Write a trained network as a file: NetX, ONNX, QONNX, NIR."""
    from lava_mlsnn.cli.file import run_export

    run_export(Console(as_json), source, out, to)


@app.command()
@guarded
def run(
    file: o.FileArgument,
    data: o.FileData = None,
    backend: Annotated[str, typer.Option("--backend", help=f"{', '.join(BACKENDS)}.")] = "runner",
    samples: o.Samples = 0,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Samples at a time.")] = BATCH,
    threads: Annotated[int, typer.Option("--threads", min=0, help="CPU threads (0: all).")] = 0,
    per_layer: Annotated[
        bool,
        typer.Option("--per-layer", help="Lava: one process per synapse and population (slow)."),
    ] = False,
    partition: Annotated[
        str | None, typer.Option("--partition", help="Loihi 2: partition of SLURM.")
    ] = None,
    board: Annotated[str | None, typer.Option("--board", help="Loihi 2: board of SLURM.")] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Loihi 2: address of a host without SLURM.")
    ] = None,
    ucode: Annotated[
        Path | None, typer.Option("--ucode", help="Loihi 2: folder of the microcode programs.")
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Run test samples through a file: accuracy and activity.

    On Loihi 2 (needs Lava's closed extension) also how many integers differ from the runner's.
    """
    place = {"partition": partition, "board": board, "host": host, "ucode": ucode}
    options = {"batch_size": batch_size, "threads": threads, "per_layer": per_layer}
    given = {**options, "batch_size": batch_size != BATCH, **place}
    check_dropped(backend, [name for name, value in given.items() if value])
    if backend == "loihi2":
        from lava_mlsnn.cli.chip import run_on_chip

        run_on_chip(Console(as_json), file, data, samples, place)
        return
    from lava_mlsnn.cli.file import run_network

    run_network(Console(as_json), file, data, backend, samples, options)


@app.command()
@guarded
def predict(
    file: o.FileArgument,
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    resize: Annotated[
        bool, typer.Option("--resize", help="Bring images to the network's size.")
    ] = False,
    crop: o.Crop = False,
    top: Annotated[int, typer.Option("--top", min=1, help="Best scores to show.")] = 3,
    as_json: o.Json = False,
) -> None:
    """Classify images: class names, best scores, time."""
    from lava_mlsnn.cli.predict import run_predict

    run_predict(Console(as_json), file, images, resize, crop, top)


@app.command()
@guarded
def report(
    file: o.FileArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Page to write.")] = Path("report.html"),
    model: Annotated[
        Path | None,
        typer.Option("--model", help="model.pt, or its folder: also compare its integers."),
    ] = None,
    data: o.FileData = None,
    samples: o.Samples = 1000,
    lava_samples: Annotated[
        int, typer.Option("--lava-samples", min=0, help="Samples to compare with Lava, too.")
    ] = 0,
    as_json: o.Json = False,
) -> None:
    """Write an HTML page on a network, pictures included.

    Accuracy class by class, the most wrong images, payloads, levels, activity, energy, whether it
    fits Loihi 2, and the graph of the network, in one file.
    """
    from lava_mlsnn.cli.report import run_report

    run_report(Console(as_json), file, out, model, data, samples, lava_samples)


@app.command()
@guarded
def check(
    file: o.FileArgument,
    model: Annotated[
        Path | None, typer.Option("--model", help="model.pt, or its folder, to compare with, too.")
    ] = None,
    data: o.FileData = None,
    samples: o.Samples = 64,
    lava_samples: Annotated[
        int, typer.Option("--lava-samples", min=0, help="Samples that also run in Lava (0: none).")
    ] = LAVA_SAMPLES,
    backend: Annotated[
        list[str] | None,
        typer.Option("--backend", help=f"Compare {', '.join(BACKENDS)} too (repeatable)."),
    ] = None,
    target: Annotated[
        str, typer.Option("--target", help="loihi2: does it fit the chip, instead of parity.")
    ] = "",
    system: Annotated[
        str,
        typer.Option("--system", help="loihi2, oheo-gulch, kapoho-point or hala-point."),
    ] = SYSTEM,
    limit: Annotated[
        list[str] | None, typer.Option("--limit", help="name=value, replaces a hardware limit.")
    ] = None,
    cores: Annotated[
        int | None, typer.Option("--cores", min=1, help="Cores the mapping may use.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="Write the balanced mapping as JSON.")
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Check a file: ranges, and the same integers on every side.

    Every sum and state must fit 24 bits, and every layer have the same integers.

    With --target loihi2 instead: per layer what the chip must hold, whether it fits and why
    not, where it could lie, and an estimate of its speed.

    Exit code 1 if an integer differs or something does not fit.
    """
    from lava_mlsnn.cli.preflight import check_options, run_preflight
    from netx_export.file.atomic import not_over

    only = {"--limit": limit, "--cores": cores, "--mapping": mapping, "--system": system != SYSTEM}
    asked = lava_samples != LAVA_SAMPLES
    parity = {"--model": model, "--backend": backend, "--lava-samples": asked}
    check_options(target, only, parity)
    not_over(mapping, file)
    if target:
        run_preflight(Console(as_json), file, data, samples, system, limit or [], cores, mapping)
        return
    from lava_mlsnn.cli.file import run_check

    run_check(Console(as_json), file, model, data, samples, lava_samples, backend or [])


@app.command()
@guarded
def program(
    file: o.FileArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for one listing per program.")
    ] = None,
    as_json: o.Json = False,
) -> None:
    """List the neuron programs of a network on Loihi 2.

    Instruction by instruction, one program for each kind of neuron that it has.
    """
    from lava_mlsnn.cli.chip import list_programs

    list_programs(Console(as_json), file, out)


@app.command()
@guarded
def info(file: o.FileArgument, as_json: o.Json = False) -> None:
    """Show a file's layers, their latencies, integers and ranges."""
    from lava_mlsnn.cli.info import run_info

    run_info(Console(as_json), file)


@app.command()
@guarded
def zoo(
    name: Annotated[str, typer.Argument(help="A network; none: list all.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Copy the network to this file.")
    ] = None,
    as_json: o.Json = False,
) -> None:
    """List trained networks, or show the card of one.

    'mlsnn run zoo:NAME' runs one; they come with a checkout of the source code.
    """
    from lava_mlsnn.cli.zoo import run_zoo

    run_zoo(Console(as_json), name, out)


@app.command()
@guarded
def energy(
    file: o.FileArgument,
    data: o.FileData = None,
    samples: o.Samples = 0,
    constants: Annotated[
        Path | None, typer.Option("--constants", help="JSON file that replaces constants.")
    ] = None,
    payload: Annotated[
        str, typer.Option("--payload", help="Graded spikes as mac, small, adds or burst.")
    ] = "mac",
    delay: Annotated[
        str, typer.Option("--delay", help="Where shortcuts wait: queue or relay.")
    ] = "queue",
    forget: Annotated[
        bool, typer.Option("--forget", help="T = 1: the potential is not written back.")
    ] = False,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="The original's counts, slips included.")
    ] = False,
    as_json: o.Json = False,
) -> None:
    """Estimate the energy of a sample, beside the network as an ANN.

    Memory accesses are included. An analytical model (arXiv:2210.13107, 45 nm), not a measurement.
    """
    from lava_mlsnn.cli.energy import run_energy
    from lava_mlsnn.energy import Design

    design = Design(payload, not forget, delay, as_published)
    run_energy(Console(as_json), file, data, samples, constants, design)


@app.command()
@guarded
def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(help="Experiments; none: all that the data permits.")
    ] = None,
    work: Annotated[
        Path, typer.Option("--work", help="Folder of trainings; a stopped run goes on there.")
    ] = Path("runs/reproduce"),
    out: Annotated[Path, typer.Option("--out", help="Folder for tables, plots and page.")] = Path(
        "results"
    ),
    cifar10: Annotated[
        str,
        typer.Option("--cifar10", help="CIFAR-10: a folder of images, or cifar10 (torchvision)."),
    ] = "",
    part: Annotated[
        str,
        typer.Option(
            "--part",
            help="K/N: every N-th training, for N processes side by side; left out, what torchrun "
            "says, else all.",
        ),
    ] = "",
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Train nothing; write what is finished.")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="Show the experiments.")] = False,
    as_json: o.Json = False,
) -> None:
    """Measure the paper's claims and write a report.

    Trains, exports, and counts events and energy, experiment by experiment.
    """
    from lava_mlsnn.cli.reproduce import list_experiments, run_reproduce

    if show:
        list_experiments(Console(as_json))
        return
    run_reproduce(Console(as_json), names or [], work, out, cifar10, part, report_only)
