"""Targets: checkpoints, image folders, recordings of events."""

from __future__ import annotations

import importlib.util
import io
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lava_mlsnn.data import Dataset, bin_events, load_dataset
from lava_mlsnn.errors import ConfigError, DataError, MLSNNError
from trust.fuzz import archive, pictures
from trust.fuzz.targets import BrokenError, Target, named

__all__ = ["checkpoint", "events", "images", "recordings"]

SIZE = (4, 3)


def checkpoint(folder: Path) -> Target:
    """``load_model``; deep: ``train(resume=True)`` too."""
    import torch

    from lava_mlsnn.models import ModelConfig
    from lava_mlsnn.training import TrainConfig, load_model, train

    torch.set_num_threads(1)
    shape = (1, 4, 4)
    rng = np.random.default_rng(0)
    x, y = rng.random((6, *shape)).astype(np.float32), np.arange(6) % 2
    data = Dataset("drawn", x, y, x, y, ("a", "b"), 15)
    # the smallest that there is: time goes by the number of tensors
    config = ModelConfig(arch="sparse-resnet-8", width=1, input_shape=shape, classes=2)
    recipes = [
        TrainConfig(epochs=1, batch_size=2),
        TrainConfig(epochs=2, batch_size=2, optimiser="sgd", ann_epochs=1, ema=0.9),
    ]

    def seeds(work: Path) -> list[bytes]:
        files = []
        for recipe in recipes:
            path = work / "model.pt"
            train(config, data, recipe, checkpoint=path)
            files.append(path.read_bytes())
            path.unlink()
        return files

    def read(path: Path, deep: bool) -> MLSNNError | None:
        refused = None
        try:
            model = load_model(path)
            if deep:
                with torch.no_grad():
                    model(torch.zeros(1, *model.config.input_shape))
        except MLSNNError as error:
            refused = named(error, path)
        if deep:
            for recipe in recipes:
                try:
                    train(config, data, recipe, checkpoint=path, resume=True)
                except MLSNNError as error:
                    named(error, path)
        return refused

    return Target("checkpoint", seeds, read, archive.mutated, ".pt")


FORMATS = {"PNG": ("L", "RGB", "RGBA", "P", "1", "I;16", "LA"), "JPEG": ("L", "RGB", "CMYK"),
           "GIF": ("L", "P"), "BMP": ("L", "RGB", "1"), "TIFF": ("L", "RGB", "I;16", "CMYK"),
           "PPM": ("1", "L", "RGB"), "WEBP": ("RGB", "RGBA")}  # fmt: skip


def _pictures(folder: Path) -> list[bytes]:
    from PIL import Image

    rng = np.random.default_rng(0)
    files = []
    for kind, modes in FORMATS.items():
        for mode in modes:
            image = Image.fromarray(rng.integers(0, 256, (*SIZE, 4), np.uint8), "RGBA")
            steps = {"LA": ["LA"], "P": ["RGB", "P"], "I;16": ["L", "I;16"]}.get(
                mode, ["RGB", mode]
            )
            for step in steps:
                image = image.convert(step)
            buffer = io.BytesIO()
            exif = Image.Exif()
            exif[0x0112] = 6
            options = {"exif": exif} if kind in ("PNG", "JPEG", "WEBP") and mode == "RGB" else {}
            image.save(buffer, kind, **options)
            files.append(buffer.getvalue())
    return files


def images(folder: Path) -> Target:
    """A folder of images, of which the last one is damaged."""
    import PIL.Image  # once, before the children

    PIL.Image.init()
    place = folder / "images"
    files = [place / part / kind / "0.png" for part in ("train", "test") for kind in ("a", "b")]
    image = PIL.Image.new("L", SIZE, 9)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(file)

    def read(path: Path, deep: bool) -> MLSNNError | None:
        shutil.move(path, files[0])
        try:
            data = load_dataset(str(place))
        except MLSNNError as error:
            # another size is said of either image
            if not any(str(p) in str(error) for p in (files[0], files[1], files[3])):
                named(error, files[0])
            return error
        x = data.x_train
        if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
            raise BrokenError("pixels must lie in 0..1")
        return None

    return Target("images", _pictures, read, pictures.mutated, ".png")


EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "<i1"), ("kind", "u1", 3)])
TIMES = ("<i8", "<u8", "<f8", "<i4", "<f4", "<u2")
PLACES = ("<i2", "<u1", "<f4", "<i8", "?", "<u8")


def _streams(folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)
    files = []
    for first in (0, 1_700_000_000_000_000_000, -5):
        rows = np.zeros(12, EVENT)
        rows["t"] = first + np.sort(rng.integers(0, 1000, 12))
        rows["x"], rows["y"], rows["p"] = (rng.integers(0, n, 12) for n in (5, 4, 2))
        files.append(bytes((0, 0, 3, 1, 0, 0, 0, 0)) + rows.tobytes())
    return files


def events(folder: Path) -> Target:
    """``bin_events`` on what eight bytes of options and raw records say."""

    def read(path: Path, deep: bool) -> MLSNNError | None:
        data = path.read_bytes().ljust(8, b"\0")
        head, body = data[:8], data[8:]
        rows = np.frombuffer(body[: len(body) // EVENT.itemsize * EVENT.itemsize], EVENT)
        kind, raw = np.dtype(TIMES[head[0] % len(TIMES)]), head[0] > 127
        with np.errstate(all="ignore"):
            time = np.ascontiguousarray(rows["t"])
            t = np.frombuffer(time.tobytes(), kind)[: len(rows)] if raw else time.astype(kind)
            x, y, p = (rows[k].astype(PLACES[head[1] % len(PLACES)]) for k in "xyp")
        options: dict[str, Any] = {"shape": (4, 5), "timesteps": head[2], "downsample": head[3]}
        if head[4]:
            options["levels"] = head[4]
        if head[5]:
            options["span"] = (int(head[6]) - 99, head[7] * 10.0 ** (head[5] % 40))
        try:
            counts = bin_events(t, x, y, p, **options)
        except (ConfigError, DataError) as error:
            return error
        if head[4] == 0 and counts.sum() != len(t):
            raise BrokenError(f"{len(t)} events, {counts.sum()} counted")
        if deep and len(t):
            _compare(counts, (t, x, y, p), options)
        return None

    return Target("events", _streams, read)


def _compare(counts: np.ndarray, rows: Any, options: dict[str, Any]) -> None:
    """Every frame by fractions, where times are whole numbers that the machine holds exactly."""
    t = [Fraction(v.item()) for v in rows[0]]
    exact = rows[0].dtype.kind in "iu" and "span" not in options
    if not exact:
        return
    steps, size = options["timesteps"], options["downsample"]
    start, stop = min(t), max(t)
    wanted = np.zeros_like(counts)
    for time, x, y, p in zip(t, *rows[1:], strict=True):
        frame = 0 if start == stop else min(int((time - start) * steps / (stop - start)), steps - 1)
        wanted[int(p != 0), int(y) // size, int(x) // size, frame] += 1
    if "levels" in options:
        wanted = np.minimum(wanted, options["levels"])
    if not np.array_equal(counts, wanted):
        raise BrokenError("counts differ from those by fractions")


def _recorded(folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 300_000, 12))
    x, y, p = (rng.integers(0, n, 12) for n in (34, 34, 2))
    rows = np.stack([x, y, (p << 7) | (t >> 16), (t >> 8) & 255, t & 255], 1).astype(np.uint8)
    return [rows.tobytes()]


def recordings(folder: Path) -> Target | None:
    """N-MNIST through tonic; None where tonic is not installed."""
    if importlib.util.find_spec("tonic") is None:
        return None
    import tonic.datasets  # noqa: F401 - once, before the children

    (usual,) = _recorded(folder)
    files = [folder / "NMNIST" / part / "3" / "1.bin" for part in ("Train", "Test")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(usual)

    def read(path: Path, deep: bool) -> MLSNNError | None:
        shutil.move(path, files[0])
        try:
            data = load_dataset("n-mnist", root=folder, timesteps=3)
        except MLSNNError as error:
            return named(error, files[0])
        if not np.isfinite(data.x_train).all():
            raise BrokenError("frames must be finite")
        return None

    return Target("recordings", _recorded, read)
