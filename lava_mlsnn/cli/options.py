"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lava_mlsnn.models.config import ARCHITECTURES, ModelConfig

__all__ = [
    "V0",
    "Arch",
    "Barrier",
    "Data",
    "DataRoot",
    "Download",
    "Epochs",
    "FileArgument",
    "FileData",
    "Json",
    "Levels",
    "Out",
    "Samples",
    "Seed",
    "Timesteps",
    "Width",
]

NETWORK = ModelConfig()

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
FileArgument = Annotated[Path, typer.Argument(help="A NetX network file (.net).")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="'digits', 'cifar10', 'cifar100', 'fashion-mnist', or a folder with train/<class>/ "
        "and test/<class>/, each also with '-events' (simulated); 'n-mnist', 'dvs-gesture', "
        "'cifar10-dvs'.",
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option("--data-root", help="Where named datasets lie (LAVA_MLSNN_DATA, or 'data')."),
]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch a named dataset that is missing.")
]
FileData = Annotated[
    str | None,
    typer.Option("--data", help="As for 'train'; by default what the file was trained with."),
]
Samples = Annotated[int, typer.Option("--samples", min=0, help="Test samples (0: all).")]
Arch = Annotated[str, typer.Option("--arch", help=f"One of {', '.join(ARCHITECTURES)}.")]
Width = Annotated[int, typer.Option("--width", help="Channels of the first stage (0: usual).")]
Levels = Annotated[int, typer.Option("--levels", "-N", help="N, largest payload of a spike.")]
Timesteps = Annotated[int, typer.Option("--timesteps", "-T", help="T, timesteps of a sample.")]
V0 = Annotated[str, typer.Option("--v0", help="floor (V0 = 0) or round (V0 = threshold / 2).")]
Barrier = Annotated[
    str, typer.Option("--barrier", help="integrating, respiking, sew, ms or none (ResNets).")
]
Epochs = Annotated[int, typer.Option("--epochs", help="Passes over the training data.")]
Seed = Annotated[int, typer.Option("--seed", help="Weights, order and augmentation.")]
