"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lava_mlsnn.data.image import Fit
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.zoo import network_file

__all__ = [
    "Crop",
    "Data",
    "DataRoot",
    "Download",
    "FileArgument",
    "FileData",
    "Json",
    "Out",
    "Resize",
    "Samples",
    "fit_of",
]

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
FileArgument = Annotated[
    Path,
    typer.Argument(
        parser=network_file,
        help="A NetX network file (.net), or zoo:NAME ('mlsnn zoo' lists the names).",
    ),
]
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
Resize = Annotated[
    str | None,
    typer.Option(
        "--resize",
        help="Bring images to this size: 32, or 24x32 (height x width). For folders of images.",
    ),
]
Crop = Annotated[
    bool,
    typer.Option("--crop", help="resize: cut the middle out first, so that nothing is stretched."),
]
Samples = Annotated[int, typer.Option("--samples", min=0, help="Test samples (0: all).")]


def fit_of(resize: str | None, crop: bool) -> Fit | None:
    """What ``--resize`` and ``--crop`` ask for."""
    if crop and resize is None:
        raise ConfigError("--crop goes with --resize; add the size, or leave it out")
    return None if resize is None else Fit.of(resize, crop)
