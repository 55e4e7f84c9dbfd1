"""``mlsnn predict``: what a network says of some images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from lava_mlsnn.cli.console import Console
from lava_mlsnn.data.dataset import HELD_OUT
from lava_mlsnn.data.image import Fit, read_image
from lava_mlsnn.errors import ConfigError, DataError
from lava_mlsnn.runner import IntegerRunner, encode
from netx_export import read
from netx_export.spec import NetworkSpec

__all__ = ["image_for", "run_predict"]


def image_for(spec: NetworkSpec, file: Path, fit: Fit | None) -> np.ndarray:
    """An image as a network takes it: float32 (C, H, W) in 0..1, as in training.

    Grey images have three equal channels where the network takes colour; images without
    colour have one where it takes grey.

    Raises
    ------
    DataError
        For what is no image, has another size, or colours that the network cannot take.
    """
    channels, height, width = spec.input.shape
    if file.is_dir():
        raise DataError("is a folder; name the images in it, such as FOLDER/*.png", str(file))
    values = read_image(file, fit)
    if values.shape[:2] != (height, width):
        raise DataError(
            f"the network takes images of {height} x {width} pixels (height x width), this one "
            f"has {values.shape[0]} x {values.shape[1]}; add --resize, and --crop to cut out its "
            "middle",
            str(file),
        )
    planes = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    if channels == 1 and len(planes) == 3:
        if (planes != planes[:1]).any():
            raise DataError("the network takes grey images, this one has colours", str(file))
        planes = planes[:1]
    return np.broadcast_to(planes, spec.input.shape).astype(np.float32) / np.float32(255)


def run_predict(
    console: Console, file: Path, images: list[Path], resize: bool, crop: bool, top: int
) -> None:
    """Classes and scores of images, and how long the network took."""
    spec = read(file)
    shape = spec.input.shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ConfigError(
            f"predict takes images of 1 or 3 channels, the network takes inputs of shape {shape}; "
            "use mlsnn run --data for frames of events",
            str(file),
        )
    fit = _fit(console, spec, resize, crop)
    x = encode(spec, np.stack([image_for(spec, image, fit) for image in images]))
    runner = IntegerRunner(spec)
    start = time.perf_counter()
    scores = runner.run(x).output[..., -1]
    seconds = time.perf_counter() - start
    names = spec.class_names or tuple(str(i) for i in range(scores.shape[1]))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    alike = len({image.name for image in images}) < len(images)
    rows: list[list[Any]] = [
        [
            image if alike else image.name,
            names[best[0]],
            ", ".join(f"{names[c]} {found[c]}" for c in best),
        ]
        for image, found, best in zip(images, scores.tolist(), order.tolist(), strict=True)
    ]
    console.table("", ["image", "class", "scores (integers of the last layer)"], rows)
    console.say(
        f"{len(images)} image{'s' if len(images) > 1 else ''} in {1000 * seconds:.1f} ms, in the "
        "integer runner" + ("" if spec.class_names else "; the file has no class names")
    )
    console.result(
        {
            "file": file,
            "images": [
                {
                    "image": image,
                    "class": names[best[0]],
                    "index": best[0],
                    "scores": found,
                }
                for image, found, best in zip(images, scores.tolist(), order.tolist(), strict=True)
            ],
            "class_names": names,
            "seconds": seconds,
        }
    )


def _fit(console: Console, spec: NetworkSpec, resize: bool, crop: bool) -> Fit | None:
    """How images are brought to the network's size: as asked, or as it was trained."""
    if crop and not resize:
        raise ConfigError("--crop goes with --resize; add that, or leave it out")
    _, height, width = spec.input.shape
    if resize:
        return Fit(height, width, crop)
    _, fit = Fit.split(HELD_OUT.sub("", str(spec.provenance.get("dataset", ""))))
    if fit is None or (fit.height, fit.width) != (height, width):
        return None
    console.say(f"images are {str(fit).strip(' ()')}, as those the network was trained with")
    return fit
